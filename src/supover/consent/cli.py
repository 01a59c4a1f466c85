"""supover consent, supover suppressions."""

from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supover.consent.model import CommunicationPreferences, Suppression

consent: Final = typer.Typer(no_args_is_help=True, help="Consent: what customers said about being written to.")
suppressions: Final = typer.Typer(no_args_is_help=True, help="Suppressions: contacts that are not written to.")


@consent.callback()
def _consent() -> None:
    """Consent: what customers said about being written to."""


@consent.command("show", epilog="Example: supover consent show 01934f2a-7c1e-7b32-9a10-5f0c8f7e4d21")
def show(
    customer: Annotated[UUID, typer.Argument(metavar="CUSTOMER", help="The customer's id.")],
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Show how a customer may be written to: for people what they were asked about, as JSON all of it."""
    from supover import terminal
    from supover.consent import queries
    from supover.customers import queries as customers

    async def act() -> "CommunicationPreferences":
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
            await customers.exists(reader, customer)
            return await queries.find(reader, customer)

    found = terminal.run(act)
    terminal.show(found if json else [p for p in found.preferences if p.at is not None], json=json)


@suppressions.command("list", epilog="Example: supover suppressions list --contact grace@hopper.example")
def list_suppressions(
    contact: Annotated[
        str | None, typer.Option("--contact", metavar="CONTACT", help="An email or a phone number, in any spelling.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, metavar="N", help="At most so many.")] = 25,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """List the contacts that are not written to, the newest first."""
    from supover import terminal
    from supover.consent import suppressions as room
    from supover.kit.sql import page

    async def act() -> "Sequence[Suppression]":
        asked = page(room.SORTS, limit=limit, sort=None, cursor=None)
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
            found, _, _ = await room.search(reader, asked, contact=contact)
            return found

    terminal.show(terminal.run(act), json=json)


@suppressions.command("add", epilog="Example: supover suppressions add grace@hopper.example --reason bounced")
def add(
    context: typer.Context,
    contact: Annotated[
        str, typer.Argument(metavar="CONTACT", help="An email, or a phone number with its country's code.")
    ],
    reason: Annotated[
        str, typer.Option("--reason", metavar="REASON", help="unsubscribed, bounced, complained or manual.")
    ] = "manual",
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="CHANNEL", help="email, sms, whatsapp or phone.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option("--topic", metavar="TOPIC", help="What they unsubscribed from; marketing unless told.")
    ] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Suppress a contact."""
    from supover import terminal
    from supover.access import audit
    from supover.consent import suppressions as room
    from supover.consent.model import NewSuppression

    async def act() -> "Suppression":
        new = NewSuppression(contact=contact, channel=channel, reason=reason, topic=topic)
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                made, _ = await room.create(tx, new)
                await audit.record(tx, "suppressions.create", made.id)
        return made

    terminal.show(terminal.run(act, context), json=json)


@suppressions.command("remove")
def remove(
    context: typer.Context,
    id: Annotated[UUID, typer.Argument(metavar="ID", help="The suppression's id.")],
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Lift a suppression; what the customers said stays."""
    from supover import terminal
    from supover.access import audit
    from supover.consent import suppressions as room

    async def act() -> "Suppression":
        async with terminal.database() as db:
            workspace_id = await terminal.workspace(db, workspace)
            async with db.tx(workspace_id, actor="cli") as tx:
                found = await room.find(tx, id)
                await room.lift(tx, id)
                await audit.record(tx, "suppressions.delete", id)
        return found

    terminal.show(terminal.run(act, context), json=json)
