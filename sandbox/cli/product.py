"""`sandbox product`: what was released."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sandbox.cli import console, views
from sandbox.cli.console import JsonOption
from sandbox.cli.place import WorkspaceOption, opened
from sandbox.errors import NotFound

if TYPE_CHECKING:
    from sandbox.embedded import Embedded
    from sandbox.tasks.product import Product

app = console.group("Released tables: list, show, export.")
ProductArgument = Annotated[str, typer.Argument(metavar="PRODUCT", help="The product's id, or `newest`.")]


@app.command("list")
def list_products(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List every product, oldest first."""
    with opened(workspace) as network:
        products = network.products()
    if as_json:
        found = [
            {"id": item.id, "title": item.card.title, "rows": item.card.rows, "withheld": len(item.card.withheld)}
            for item in products
        ]
        console.emit({"products": found})
    elif not products:
        console.say("no product has been released yet")
    else:
        rows = [(item.id, item.card.rows, len(item.card.withheld), item.card.title) for item in products]
        console.table(("product", "rows", "withheld", "title"), rows, right=(1, 2))


@app.command("show")
def show_product(product: ProductArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show a product, and what was withheld."""
    with opened(workspace) as network:
        found = named(network, product)
    if as_json:
        console.emit(views.product_document(found) | {"card": found.card})
    else:
        views.show_product(found)


@app.command("export")
def export_product(
    product: ProductArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, ending in .csv, .parquet or .arrow.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a product's rows to a new file.

    NULL stays NULL; nothing is overwritten. In CSV, a text that begins as a formula gets an apostrophe in front.
    """
    from sandbox.cli.export import write_table

    with opened(workspace) as network:
        found = named(network, product)
    write_table(found, file)
    if as_json:
        console.emit({"id": found.id, "file": str(file), "rows": found.card.rows})
    else:
        console.say(f"{found.card.rows} rows written to {file}")


def named(network: Embedded, name: str) -> Product:
    """Return a product by its id, or the newest one. Raises NotFound."""
    if name != "newest":
        return network.product(name)
    products = network.products()
    if not products:
        raise NotFound("no product has been released yet")
    return products[-1]
