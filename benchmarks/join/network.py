"""Roles in processes of their own, joined by pipes; what each of them took: time by step, CPU, memory, bytes."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import multiprocessing.connection
import queue
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from protocols.channel import Endpoint
from protocols.party import Party, Progress, Send
from sandbox.node.mappers import ThreadMapper
from sandbox.node.scratch import NodeScratch

# How a role is made, inside its own process: (mapper, scratch, progress) -> role.
MakeRole = Callable[[Any, Any, Progress], Party]
Connection = Any
OnProgress = Callable[[str, int, int], None]
SENDS_AHEAD = 2


def run_processes(
    roles: Mapping[str, MakeRole], summary: Callable[[str, Any], Any], threads: int, on_progress: OnProgress | None
) -> dict[str, dict[str, Any]]:
    """Run every role in a process of its own; return each one's figures and, as `output`, summary(name, its output).

    Nothing but frames passes between roles. Raises RuntimeError for a role that fails.
    """
    context = multiprocessing.get_context("fork")
    session = bytes(16)
    links: dict[str, dict[str, Connection]] = {name: {} for name in roles}
    for left in roles:
        for right in roles:
            if left < right:
                links[left][right], links[right][left] = context.Pipe()
    controls, processes = {}, []
    for name, make in roles.items():
        controls[name], theirs = context.Pipe()
        setup = {"summary": summary, "links": links, "control": theirs, "session": session, "threads": threads}
        process = context.Process(target=_node, args=(name, make), kwargs=setup, daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
    for ends in links.values():
        for connection in ends.values():
            connection.close()
    try:
        return _collect(controls, on_progress)
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _collect(controls: dict[str, Connection], on_progress: OnProgress | None) -> dict[str, dict[str, Any]]:
    figures: dict[str, dict[str, Any]] = {}
    while len(figures) < len(controls):
        for ready in multiprocessing.connection.wait([controls[name] for name in controls if name not in figures]):
            name = next(name for name, control in controls.items() if control is ready)
            try:
                message = json.loads(ready.recv_bytes())  # type: ignore[union-attr]
            except EOFError:
                raise RuntimeError(f"{name} ended without a result; its error stands above") from None
            if "step" in message:
                if on_progress is not None:
                    on_progress(message["step"], message["done"], message["total"])
            else:
                figures[name] = message
    return figures


def _node(
    name: str,
    make: MakeRole,
    *,
    summary: Callable[[str, Any], Any],
    links: dict[str, dict[str, Connection]],
    control: Connection,
    session: bytes,
    threads: int,
) -> None:
    for other, ends in links.items():
        if other != name:
            for connection in ends.values():
                connection.close()
    began, steps = time.monotonic(), Steps(control)
    with tempfile.TemporaryDirectory() as folder, NodeScratch(Path(folder)) as scratch, ThreadMapper(threads) as mapper:
        role = make(mapper, scratch, Progress(on_update=steps.update))
        prepared = time.monotonic() - began
        endpoint = Endpoint(session=session, name=name)
        output = _play(role, endpoint, links[name])
        used = resource.getrusage(resource.RUSAGE_SELF)
        figures = {
            "output": summary(name, output),
            "seconds": time.monotonic() - began,
            "prepare_s": prepared,
            "cpu_s": used.ru_utime + used.ru_stime,
            "peak_bytes": _status("VmHWM"),
            "mapped_bytes": scratch.mapped_bytes,
            "sent_bytes": {peer: chain.size_bytes for (peer, way), chain in endpoint.chains().items() if way == "sent"},
            "steps": steps.figures(),
        }
    control.send_bytes(json.dumps(figures).encode())


def _play(role: Party, endpoint: Endpoint, links: dict[str, Connection]) -> Any:
    """Play one role: take what has come, then make the next message; a full line is no reason to stop listening."""
    outbox: queue.Queue[tuple[str, bytes] | None] = queue.Queue(maxsize=SENDS_AHEAD)
    sender = threading.Thread(target=_deliver, args=(outbox, links), daemon=True)
    sender.start()
    streams: list[Iterator[Send]] = []
    output, is_done = None, False

    def accept(step: Any) -> None:
        nonlocal output, is_done
        streams.append(iter(step.sends))
        if step.done:
            output, is_done = step.output, True

    def listen(timeout_s: float) -> None:
        if is_done:
            return
        for ready in multiprocessing.connection.wait(list(links.values()), timeout_s):
            peer = next(peer for peer, connection in links.items() if connection is ready)
            try:
                frame = ready.recv_bytes()  # type: ignore[union-attr]
            except EOFError:
                del links[peer]
                continue
            accept(role.receive(peer, endpoint.unpack(peer, frame)))

    accept(role.start())
    while streams or not is_done:
        listen(0.0 if streams else 0.05)
        if not streams:
            continue
        send = next(streams[0], None)
        if send is None:
            streams.pop(0)
            continue
        item = (send.recipient, endpoint.pack(send.recipient, send.message))
        while True:
            with contextlib.suppress(queue.Full):
                outbox.put(item, timeout=0.01)
                break
            listen(0.0)
    outbox.put(None)
    sender.join()
    return output


def _deliver(outbox: queue.Queue[tuple[str, bytes] | None], links: dict[str, Connection]) -> None:
    ends = dict(links)
    while (item := outbox.get()) is not None:
        ends[item[0]].send_bytes(item[1])


def _status(field: str) -> int:
    """Return a line of /proc/self/status in bytes. VmHWM: the most memory that the process ever had, mapped files included."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"this system does not tell {field}")


class Steps:
    """Times of a role's steps: from the first unit to the last, other work in between included."""

    def __init__(self, control: Connection) -> None:
        self._control = control
        self._found: dict[str, dict[str, float]] = {}
        self._last = time.monotonic()
        self._told = 0.0

    def update(self, step: str, done: int, total: int) -> None:
        """Account the time since the last update to `step`, and tell the parent of it a few times a second."""
        now = time.monotonic()
        found = self._found.setdefault(step, {"units": total, "seconds": 0.0})
        found["units"] = total
        if done:
            found["seconds"] += now - self._last
        self._last = now
        if now - self._told > 0.2 or done == total:
            self._told = now
            self._control.send_bytes(json.dumps({"step": step, "done": done, "total": total}).encode())

    def figures(self) -> dict[str, dict[str, float]]:
        """Return units and seconds of each step."""
        return self._found
