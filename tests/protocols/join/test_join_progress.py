"""Progress of a whole run: every step is known as soon as the sizes are, and each one ends."""

from __future__ import annotations

from support.families import MEASURE, join_params, join_roles_of, join_rows, provider_spec

from protocols import join
from protocols.local import run_local
from protocols.party import Progress

ROWS = 40


def test_every_step_is_announced_with_its_size_before_any_row_is_done_and_ends() -> None:
    updates: list[tuple[str, int, int]] = []
    params = join_params((provider_spec("left", carries=True, measures=(MEASURE,)), provider_spec("right")), chunk_rows=16)
    rows = {
        "left": join_rows([(key, key % 2, (key,)) for key in range(ROWS)], 1),
        "right": join_rows([(key, 0, ()) for key in range(ROWS)], 0),
    }
    parties = join_roles_of(params, rows)
    for party in parties.values():
        party.progress = Progress(on_update=lambda *update: updates.append(update))
    run_local(parties)
    first_done = next(at for at, (_, done, _) in enumerate(updates) if done)
    announced = {step: total for step, done, total in updates[:first_done]}
    assert announced == {
        "left: blind and encrypt own list": ROWS,
        "left: pass on list of right": ROWS,
        "right: blind and encrypt own list": ROWS,
        "right: pass on list of left": ROWS,
        "operator: open list of left": ROWS,
        "operator: open list of right": ROWS,
        "operator: match": 1,
        "operator: add up": 1,
    }
    last = {step: (done, total) for step, done, total in updates}
    assert all(done == total for done, total in last.values())
    assert set(announced) <= set(last)
    assert {total for step, _, total in updates if step in announced and total != announced[step]} == set()


def test_operator_steps_count_partitions() -> None:
    assert join.partitions.partition_count(2_000_000) == 256
    assert join.partitions.partition_count(10**9) == join.partitions.MAX_PARTITIONS
