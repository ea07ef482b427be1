"""run_local: turns, lazy sends, deadlock, strangers; and what Party promises to every role."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

import protocols
from protocols.channel import Endpoint
from protocols.errors import MisuseError, ParameterError, PeerError
from protocols.join.messages import SealedLabels
from protocols.local import run_local
from protocols.party import Party, Progress, Send, Step, blame


def note(number: int) -> SealedLabels:
    return SealedLabels(box=bytes([number]))


class Sender(Party):
    """Sends `count` notes lazily and is done."""

    ROUNDS: ClassVar[Any] = {}

    def __init__(self, name: str, recipient: str, count: int, made: list[str] | None = None) -> None:
        super().__init__(name)
        self._recipient, self._count, self._made = recipient, count, made if made is not None else []

    def on_start(self) -> Step:
        self.enter("done")
        return Step(sends=self._notes(), done=True, output=self._count)

    def _notes(self) -> Iterator[Send]:
        for number in range(self._count):
            self._made.append(f"{self.name}{number}")
            yield Send(recipient=self._recipient, message=note(number))


class Receiver(Party):
    """Takes `count` notes and returns who sent what."""

    ROUNDS: ClassVar[Any] = {"taking": {SealedLabels: "on_note"}}

    def __init__(self, name: str, count: int, made: list[str] | None = None) -> None:
        super().__init__(name)
        self._count, self._made = count, made if made is not None else []
        self._taken: list[str] = []

    def on_start(self) -> Step:
        self.enter("taking")
        return Step()

    def on_note(self, sender: str, message: SealedLabels) -> Step:
        self._taken.append(f"{sender}{message.box[0]}")
        self._made.append(f"taken {sender}{message.box[0]}")
        if len(self._taken) < self._count:
            return Step()
        self.enter("done")
        return Step(done=True, output=self._taken)


def test_lazy_sends_of_several_parties_are_interleaved_one_message_at_a_time() -> None:
    log: list[str] = []
    outputs = run_local({"a": Sender("a", "r", 3, log), "b": Sender("b", "r", 3, log), "r": Receiver("r", 6, log)})
    assert outputs == {"a": 3, "b": 3, "r": ["a0", "b0", "a1", "b1", "a2", "b2"]}
    assert log == [entry for name in outputs["r"] for entry in (name, f"taken {name}")]  # nothing is made ahead


def test_frames_are_seen_before_they_are_delivered() -> None:
    seen: list[tuple[str, str]] = []
    receiver = Receiver("r", 1)

    def on_frame(sender: str, recipient: str, frame: bytes) -> None:
        assert receiver.state == "taking"
        assert frame[:4] == b"PDS1"
        seen.append((sender, recipient))

    run_local({"a": Sender("a", "r", 1), "r": receiver}, on_frame=on_frame)
    assert seen == [("a", "r")]


def test_parties_that_wait_for_each_other_are_reported_with_their_states() -> None:
    with pytest.raises(MisuseError, match=r"still waiting: q \(taking\), r \(taking\)$"):
        run_local({"a": Sender("a", "r", 1), "r": Receiver("r", 2), "q": Receiver("q", 1)})


def test_an_unknown_recipient_is_named() -> None:
    with pytest.raises(MisuseError, match="a sends to nobody, who takes no part"):
        run_local({"a": Sender("a", "nobody", 1)})


def test_a_message_after_the_end_is_refused() -> None:
    with pytest.raises(MisuseError, match="r is done and takes no message"):
        run_local({"a": Sender("a", "r", 2), "r": Receiver("r", 1)})


def test_a_run_uses_the_endpoints_it_is_given() -> None:
    ends = {name: Endpoint(session=bytes(16), name=name) for name in ("a", "r")}
    run_local({"a": Sender("a", "r", 4), "r": Receiver("r", 4)}, endpoints=ends)
    assert ends["a"].chain("r", "sent") == ends["r"].chain("a", "received")
    assert ends["a"].chain("r", "sent").frames == 4


def test_parties_on_different_sessions_refuse_each_other() -> None:
    ends = {"a": Endpoint(session=bytes(16), name="a"), "r": Endpoint(session=b"\1" * 16, name="r")}
    with pytest.raises(PeerError, match="another session"):
        run_local({"a": Sender("a", "r", 1), "r": Receiver("r", 1)}, endpoints=ends)


def test_no_party_at_all() -> None:
    assert run_local({}) == {}


class Failing(Party):
    """Fails while its lazy sends are drained."""

    ROUNDS: ClassVar[Any] = {}

    def on_start(self) -> Step:
        self.enter("done")
        return Step(sends=self._broken(), done=True)

    def _broken(self) -> Iterator[Send]:
        yield Send(recipient="r", message=note(0))
        raise ParameterError("no more rows")


def test_an_error_in_lazy_sends_kills_the_role_and_surfaces() -> None:
    role = Failing("f")
    with pytest.raises(ParameterError, match="no more rows"):
        run_local({"f": role, "r": Receiver("r", 2)})
    assert role.state == "failed"


def test_a_role_enters_only_states_of_its_table() -> None:
    with pytest.raises(MisuseError, match="no state 'elsewhere'"):
        Receiver("r", 1).enter("elsewhere")


def test_blame_turns_own_errors_into_the_senders_and_keeps_named_ones() -> None:
    def raises(error: Exception) -> Any:
        raise error

    with pytest.raises(PeerError) as caught:
        blame("a", lambda: raises(ParameterError("too short")))
    assert (caught.value.culprit, caught.value.problem) == ("a", "too short")
    with pytest.raises(PeerError) as caught:
        blame("a", lambda: raises(PeerError("b", "its own")))
    assert caught.value.culprit == "b"
    with pytest.raises(ZeroDivisionError):
        blame("a", lambda: raises(ZeroDivisionError()))


def test_progress_reports_and_asks_before_each_report() -> None:
    reported: list[tuple[str, int, int]] = []
    progress = Progress(on_update=lambda *update: reported.append(update), is_cancelled=lambda: len(reported) == 1)
    progress.advance("blind", 1, 2)
    with pytest.raises(Exception, match="caller's request"):
        progress.advance("blind", 2, 2)
    assert reported == [("blind", 1, 2)]


def test_the_worked_example_of_the_readme_runs_and_is_a_good_role() -> None:
    """In a process of its own, since it registers messages."""
    readme = Path(protocols.__file__).with_name("README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    checks = """
from protocols.errors import PeerError

def fails(change, match):
    left, right = SizeTeller("left", "right", 120), SizeTeller("right", "left", 75)
    (first,), (second,) = left.start().sends, right.start().sends
    (opening,) = right.receive("left", first.message).sends
    left.receive("right", second.message)
    try:
        left.receive(*change(opening.message))
    except PeerError as error:
        assert match in error.problem, error
        assert left.state == "failed"
    else:
        raise AssertionError("not refused")

fails(lambda m: ("right", dataclasses.replace(m, rows=76)), "does not fit")
fails(lambda m: ("right", dataclasses.replace(m, rows=-1)), "does not fit")
fails(lambda m: ("right", dataclasses.replace(m, rows=2**64)), "does not fit")
fails(lambda m: ("left", m), "takes no part")
assert SIZE_DISCLOSURE.of("party")[0].fact == "list_size"
"""
    script = "\n".join([*blocks, checks])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "{'right': 120, 'left': 75}\n"
