"""`sandbox demo transport`: delays by aircraft maker and by weather, two questions over three agencies' real data.

Tail numbers and hours are two key domains, and an asset has one, so the airport registers its flights twice. Of the makers,
Cessna has 9 aircraft in the registry, fewer than a group may have: the pattern rule takes them out before anything is
encrypted, and all numbers of their row are withheld as RARE_GROUP. Canadair has 10, and is released. Nothing else is withheld
over the whole year; with fewer rows, groups of fewer than 10 aircraft or hours are, as BELOW_K or RARE_GROUP.
"""

from __future__ import annotations

from pathlib import Path

from sandbox.catalogue import TableDefinition, table
from sandbox.demos import data
from sandbox.demos.result import DemoResult
from sandbox.demos.stage import answer, job_options, new_directory, read_job, set_terms
from sandbox.demos.trials import differencing, tampering
from sandbox.embedded import Embedded
from sandbox.node.session import OnProgress

OPERATOR = "city-transport-operator"
MANAGER = "data-bureau"
ASSETS = ("airport.flights_by_tail", "airport.flights_by_hour", "registry.planes", "weather.hours")
QUESTIONS = ("maker", "weather")
DELAYS = (-120, 1440)
"""Minutes. A flight that is a day late is another flight."""
DIFFERENCING = """
SELECT CASE WHEN p.manufacturer IN ('BOEING', 'CESSNA') THEN 'Boeing and Cessna' ELSE 'other' END AS maker,
  COUNT(DISTINCT f.tailnum) AS aircraft
FROM airport.flights_by_tail f
JOIN registry.planes p ON p.tailnum = f.tailnum
GROUP BY maker
"""


def definitions(flights: int | None = None) -> dict[str, dict[str, TableDefinition]]:
    """Return the three agencies' tables with what each declares about them."""
    tables = data.transport(flights)
    return {
        "airport": {
            "flights_by_tail": table(tables["flights"], key="tailnum", key_domain="aircraft", bounds={"arr_delay": DELAYS}),
            "flights_by_hour": table(tables["flights"], key=data.HOUR, key_domain="airport_hour", bounds={"dep_delay": DELAYS}),
        },
        "registry": {
            "planes": table(
                tables["planes"],
                key="tailnum",
                key_domain="aircraft",
                unique=True,
                roles={"manufacturer": "quasi_identifier"},
            )
        },
        "weather": {
            "hours": table(
                tables["hours"],
                key=data.HOUR,
                key_domain="airport_hour",
                unique=True,
                roles={"precip": "other", "visib": "other"},
            )
        },
    }


def run(
    *,
    out: Path | None = None,
    key_bits: int = 3072,
    rows: int | None = None,
    on_progress: OnProgress | None = None,
) -> DemoResult:
    """Run both questions in a new workspace and return their answers.

    out: a directory that is new or empty; by default one below the system's temporary directory, which is kept. rows: only
    the first so many flights; fewer than 1,615 are in fewer than 100 hours, the shortest list that may take part. Raises
    StateError if `out` is in use, UsageError if the demo data is not installed.
    """
    directory = new_directory(out, "transport")
    questions = {name: read_job(f"transport-{name}") for name in QUESTIONS}
    with Embedded.create(
        directory / "workspace", definitions(rows), operator=OPERATOR, manager=MANAGER, terms="written"
    ) as network:
        set_terms(network, *ASSETS)
        answers = tuple(
            answer(network, question, directory / f"bundle-{name}", on_progress, key_bits=key_bits)
            for name, question in questions.items()
        )
        trust = network.write_trust(directory / "trust.toml")
        trials = (
            differencing(
                network, DIFFERENCING, job_options(questions["maker"], key_bits=key_bits), on_progress, differs_by="aircraft"
            ),
            tampering(answers[0].bundle, trust),
        )
    return DemoResult(answers=answers, directory=directory, trust=trust, trials=trials)
