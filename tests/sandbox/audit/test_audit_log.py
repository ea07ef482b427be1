"""The log on disk: acknowledged means present, whatever fails; and nothing that was once shown can be taken back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.audit_story import KEYS, Network, trust

from sandbox.audit.files import DiskFiles
from sandbox.audit.log import LogKeeper, read_log
from sandbox.audit.merkle import verify_consistency
from sandbox.audit.receipt import CosignRequest, require_receipt
from sandbox.audit.tiles import TileStore, pack_entries, tile_path, unpack_entries
from sandbox.errors import AuditError, DocumentError, LinkError, NotFound, StateError, UsageError
from sandbox.model.signature import PrivateIdentity

LOG = trust().log


def open_log(folder: Path, files: DiskFiles | None = None) -> LogKeeper:
    return LogKeeper(folder, trust=LOG, identity=KEYS["log"], files=files)


def entries(start: int, stop: int) -> list[bytes]:
    return [f"entry {index}".encode() for index in range(start, stop)]


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(tmp_path)


def test_what_is_appended_is_there_with_its_receipt(network: Network) -> None:
    receipts = network.log.append(entries(0, 3))
    assert [receipt.index for receipt in receipts] == [0, 1, 2]
    for entry, receipt in zip(entries(0, 3), receipts, strict=True):
        signed = require_receipt(entry, receipt, LOG)
        assert sorted(signed.cosigned) == ["auditor", "lab", "registry"]
    assert list(network.log.entries()) == entries(0, 3)
    network.log.close()
    again = network.open_log()
    assert list(again.entries(1)) == entries(1, 3)
    assert again.append(entries(2, 4))[0].index == 2
    assert again.checkpoint.size == 4


def test_sizes_around_the_width_of_a_tile(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    written: list[bytes] = []
    for step in (1, 254, 1, 1, 255, 512, 300):
        fresh = entries(len(written), len(written) + step)
        old = log.checkpoint
        written += fresh
        log.append(fresh)
        proof = log.consistency(old.size)
        if old.size:
            verify_consistency(old.size, old.root, log.checkpoint.size, log.checkpoint.root, proof)
        files = sorted(path for path in (tmp_path / "log").rglob("*") if path.is_file() and ".p" in path.parent.name)
        assert len(files) <= 3, "partial tiles that nobody needs stay behind"
    log.close()
    log = open_log(tmp_path / "log")
    assert list(log.entries()) == written
    for index in (0, 255, 256, 511, 512, 1000, len(written) - 1):
        assert log.index_of(written[index]) == index


def test_a_third_level_of_tiles(tmp_path: Path) -> None:
    """65,536 leaves fill a tile of level 1: its hash begins level 2."""
    store = TileStore(tmp_path, DiskFiles())
    for start in range(0, 65_600, 16_400):
        store.extend(entries(start, start + 16_400))
    read = TileStore(tmp_path, DiskFiles())
    assert sum(1 for _ in read.load(65_600)) == 65_600
    assert read.root() == store.root()
    assert (tmp_path / "tile" / "2" / "000.p" / "1").stat().st_size == 32


def test_tile_names_and_entry_bundles() -> None:
    """Source: C2SP tlog-tiles."""
    assert tile_path("0", 1234067, 256) == "tile/0/x001/x234/067"
    assert tile_path("entries", 5, 17) == "tile/entries/005.p/17"
    assert unpack_entries(pack_entries([b"a", b"bc"]), place="x") == (b"a", b"bc")
    for cut in (1, 2, 4, 5):
        with pytest.raises(AuditError, match="cut off"):
            unpack_entries(pack_entries([b"abcd"])[:cut], place="x")


def test_entries_that_cannot_be_stored(network: Network) -> None:
    for bad in (b"", bytes(65_536)):
        with pytest.raises(DocumentError):
            network.log.append([b"good", bad])
    assert network.log.checkpoint.size == 0
    with pytest.raises(NotFound):
        network.log.index_of(b"good")


def test_only_one_keeper_at_a_time(network: Network, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="in use"):
        network.open_log()
    code = f"""
        from pathlib import Path
        from sandbox.audit.files import FolderLock
        from sandbox.errors import StateError
        try:
            FolderLock(Path({str(tmp_path / "log")!r}))
        except StateError:
            print("refused")
    """
    found = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert found.stdout == "refused\n"
    network.log.close()
    network.log.close()
    with pytest.raises(StateError, match="closed"):
        network.log.append([b"x"])
    network.open_log()


def test_an_auditor_reads_the_folder_without_a_key(network: Network, tmp_path: Path) -> None:
    network.log.append(entries(0, 300))
    signed, found = read_log(tmp_path / "log", LOG)
    assert list(found) == entries(0, 300)
    assert sorted(signed.cosigned) == ["auditor", "lab", "registry"]
    with pytest.raises(NotFound):
        read_log(tmp_path / "nothing", LOG)
    bundle = tmp_path / "log" / "tile" / "entries" / "000"
    bundle.write_bytes(bundle.read_bytes().replace(b"entry 7", b"entry 8", 1))
    with pytest.raises(AuditError) as caught:
        read_log(tmp_path / "log", LOG)
    assert caught.value.place == "log entry 7"


def test_another_key_is_not_the_logs(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        LogKeeper(tmp_path / "log", trust=LOG, identity=PrivateIdentity.generate())


def test_an_old_copy_put_back_is_found_by_the_witnesses(network: Network, tmp_path: Path) -> None:
    network.log.append(entries(0, 2))
    network.log.close()
    shutil.copytree(tmp_path / "log", tmp_path / "backup")
    log = network.open_log()
    log.append(entries(2, 5))
    log.close()
    with pytest.raises(AuditError, match=r"2 entries and witness registry has seen 5"):
        network.open_log("backup")
    network.open_log()


def test_a_fork_gets_no_cosignature(network: Network, tmp_path: Path) -> None:
    network.log.append(entries(0, 2))
    network.log.close()
    shutil.copytree(tmp_path / "log", tmp_path / "fork")
    log = network.open_log()
    log.append([b"the truth"])
    log.close()
    fork = open_log(tmp_path / "fork")
    fork.append([b"another truth"])
    request = CosignRequest(old_size=3, proof=(), note=fork.note)
    for witness in network.witnesses:
        with pytest.raises(AuditError, match="forked"):
            witness.cosign(request)
    fork.append([b"and more"])
    with pytest.raises(AuditError, match="rewritten or forked"):
        network.witnesses[0].cosign(CosignRequest(old_size=3, proof=fork.consistency(3), note=fork.note))


def test_a_witness_that_cannot_be_reached_is_missed(network: Network) -> None:
    class Silent:
        name = "lab"

        def last_size(self) -> int:
            raise LinkError("lab is silent")

        def cosign(self, request: CosignRequest) -> str:
            raise LinkError("lab is silent")

    network.log.close()
    network.witnesses[1] = Silent()  # type: ignore[call-overload]
    log = network.open_log()
    receipt = log.append([b"one"])[0]
    assert sorted(require_receipt(b"one", receipt, LOG).cosigned) == ["auditor", "registry"]
    log.close()
    network.witnesses[0] = Silent()  # type: ignore[call-overload]
    receipt = network.open_log().append([b"two"])[0]
    with pytest.raises(AuditError) as caught:
        require_receipt(b"two", receipt, LOG)
    assert caught.value.kind == "incomplete"


def test_every_byte_of_the_stored_log_is_watched(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log")
    log.append(entries(0, 4))
    log.close()
    stored = [path for path in (tmp_path / "log").rglob("*") if path.is_file() and path.name != "lock"]
    assert len(stored) == 3
    for path in stored:
        original = path.read_bytes()
        for index in range(len(original)):
            changed = bytearray(original)
            changed[index] ^= 1
            path.write_bytes(changed)
            with pytest.raises(AuditError):
                list(opened_and_read(tmp_path / "log"))
        path.write_bytes(original[:-1])
        with pytest.raises(AuditError):
            opened_and_read(tmp_path / "log")
        path.unlink()
        with pytest.raises(AuditError):
            opened_and_read(tmp_path / "log")
        path.write_bytes(original)
    assert opened_and_read(tmp_path / "log") == entries(0, 4)


def opened_and_read(folder: Path) -> list[bytes]:
    with open_log(folder) as log:
        return list(log.entries())


class Crash(BaseException):
    """The process ends here."""


class QuickFiles(DiskFiles):
    """Files as a killed process leaves them; what only a power failure loses is not waited for."""

    def write(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)

    def sync_directory(self, path: Path) -> None:
        return


class FailingFiles(QuickFiles):
    """Fails at the n-th change of the disk: `before` nothing persists, `torn` half of a write does, `after` all of it does."""

    def __init__(self, at: int, mode: str, error: Callable[[], BaseException]) -> None:
        self.left = at
        self.mode = mode
        self.error = error

    def _step(self, action: Callable[[], None], torn: Callable[[], None] | None = None) -> None:
        self.left -= 1
        if self.left >= 0:
            action()
            return
        if self.left < -1:
            raise AssertionError("the log went on after a failure")
        if self.mode == "after":
            action()
        elif self.mode == "torn" and torn is not None:
            torn()
        raise self.error()

    def write(self, path: Path, data: bytes) -> None:
        super_write = super().write
        self._step(lambda: super_write(path, data), lambda: super_write(path, data[: len(data) // 2]))

    def rename(self, source: Path, target: Path) -> None:
        super_rename = super().rename
        self._step(lambda: super_rename(source, target))

    def sync_directory(self, path: Path) -> None:
        super_sync = super().sync_directory
        self._step(lambda: super_sync(path))

    def make_directory(self, path: Path) -> None:
        super_make = super().make_directory
        self._step(lambda: super_make(path))

    def remove(self, path: Path) -> None:
        super_remove = super().remove
        self._step(lambda: super_remove(path))


FAULTS = {
    "crash": Crash,
    "disk full": lambda: OSError(28, "No space left on device"),
    "input/output": lambda: OSError(5, "Input/output error"),
}


@pytest.mark.parametrize(
    ("mode", "fault"),
    [("before", "crash"), ("torn", "crash"), ("after", "crash"), ("torn", "disk full"), ("after", "input/output")],
)
def test_a_fault_at_every_file_operation(tmp_path: Path, mode: str, fault: str) -> None:
    """Appends across a tile's border, failing at each operation in turn: acknowledged entries stay, and a retry completes."""
    start = tmp_path / "start"
    with open_log(start) as log:
        log.append(entries(0, 254))
    batches = [entries(254, 255), entries(255, 258), entries(258, 259)]
    completed, at = False, 0
    while not completed:
        folder = tmp_path / f"log-{at}"
        shutil.copytree(start, folder)
        acknowledged = entries(0, 254)
        completed = run_until_fault(folder, FailingFiles(at, mode, FAULTS[fault]), batches, acknowledged)
        with open_log(folder, QuickFiles()) as log:
            found = list(log.entries())
            assert found[: len(acknowledged)] == acknowledged
            assert found == entries(0, len(found))
            for batch in batches:
                log.append(batch)
        assert opened_and_read(folder) == entries(0, 259)
        shutil.rmtree(folder)
        at += 1
    assert at > 25


def run_until_fault(folder: Path, files: FailingFiles, batches: list[list[bytes]], acknowledged: list[bytes]) -> bool:
    log = None
    try:
        log = open_log(folder, files)
        for batch in batches:
            log.append(batch)
            acknowledged += batch
    except Crash:
        pass
    except StateError:
        if log is not None:
            with pytest.raises(StateError):
                log.append([b"after the failure"])
    else:
        return True
    finally:
        if log is not None:
            log.close()
    return False


@pytest.mark.parametrize("mode", ["before", "torn", "after"])
def test_a_crash_while_the_log_is_started(tmp_path: Path, mode: str) -> None:
    for at in range(4):
        folder = tmp_path / f"log-{at}"
        run_until_fault(folder, FailingFiles(at, mode, Crash), [[b"one"]], [])
        with open_log(folder) as log:
            log.append([b"one"])
            assert list(log.entries()) == [b"one"]


def test_kill_9_at_random(tmp_path: Path) -> None:
    """A process appends and prints what was acknowledged until it is killed: all of that is there, in order, once."""
    code = """
        import sys
        from pathlib import Path
        from support.audit_story import KEYS, trust
        from sandbox.audit.log import LogKeeper
        log = LogKeeper(Path(sys.argv[1]), trust=trust().log, identity=KEYS["log"])
        number = log.checkpoint.size
        while True:
            batch = [f"entry {number + at}".encode() for at in range(1 + number % 7)]
            log.append(batch)
            number += len(batch)
            print(number, flush=True)
    """
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}
    size = 0
    for attempt in range(4):
        command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "log")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(0.02 + 0.03 * attempt)
            process.send_signal(signal.SIGKILL)
            printed = [line for line in (first + process.stdout.read()).split("\n") if line]
        acknowledged = int(printed[-1])
        found = opened_and_read(tmp_path / "log")
        assert len(found) >= acknowledged > size
        assert found == entries(0, len(found))
        size = acknowledged
