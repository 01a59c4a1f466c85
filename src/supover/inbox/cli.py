"""supover channels, supover inbox."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, cast
from uuid import UUID

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supover.channels.model import Connection
    from supover.inbox.model import Message, Replayed

channels: Final = typer.Typer(no_args_is_help=True, help="Channels: shops that send their orders here.")
inbox: Final = typer.Typer(no_args_is_help=True, help="The inbox: what channels sent, and what became of it.")

IdArgument = Annotated[UUID, typer.Argument(metavar="ID")]


# --- channels --------------------------------------------------------------------------------------------------------


@channels.command("connect", epilog="Example: supover channels connect SHOPIFY demo.myshopify.com < secret.txt")
def connect(
    platform: Annotated[str, typer.Argument(metavar="PLATFORM", help="SHOPIFY.")],
    shop: Annotated[str, typer.Argument(metavar="SHOP", help="Its permanent address, as in demo.myshopify.com.")],
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="What people call it.")] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Connect a shop. The secret that it signs with is read from standard input."""
    from supover import settings, terminal
    from supover.access import audit
    from supover.channels import commands, sealing
    from supover.channels.model import NewConnection

    secret = terminal.read_line("Secret: ")

    async def act() -> "Connection":
        found = settings.load()
        new = NewConnection(platform=_platform(platform), shop=shop, secret=secret, name=name)
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                made = await commands.connect(tx, sealing.hooks(found), sealing.sealer(found), new)
                await audit.record(tx, "channels.create", made.id)
        return made

    terminal.show(terminal.run(act), json=json)


@channels.command("list")
def list_channels(
    ended: Annotated[bool, typer.Option("--all", help="Those that were disconnected, too.")] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """List the connected shops, the newest first."""
    from supover import settings, terminal
    from supover.channels import queries, sealing
    from supover.kit.sql import MAX_LIMIT, page

    async def act() -> "Sequence[Connection]":
        hooks = sealing.hooks(settings.load())
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
            asked = page(queries.SORTS, limit=MAX_LIMIT, sort=None, cursor=None)
            return (await queries.search(reader, hooks, asked, ended=ended)).data

    columns = ("id", "platform", "shop", "name", "webhookUrl", "lastReceivedAt", "disconnectedAt")
    found = terminal.run(act)
    terminal.show(found if json else [terminal.only(one, columns) for one in found], json=json)


@channels.command("rotate")
def rotate(
    id: IdArgument,
    overlap_hours: Annotated[
        int, typer.Option("--overlap-hours", min=0, max=168, help="How long the secret before is accepted.")
    ] = 24,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Give a connection a new secret, read from standard input."""
    from supover import settings, terminal
    from supover.access import audit
    from supover.channels import commands, sealing
    from supover.channels.model import Rotation

    secret = terminal.read_line("Secret: ")

    async def act() -> "Connection":
        found = settings.load()
        async with terminal.database() as db:
            workspace_id = await terminal.workspace(db, workspace)
            async with db.tx(workspace_id, actor="cli") as tx:
                given = Rotation(secret=secret, overlap_hours=overlap_hours)
                changed = await commands.rotate(tx, sealing.hooks(found), sealing.sealer(found), id, given)
                await audit.record(tx, "channels.rotate", id)
        return changed

    terminal.show(terminal.run(act), json=json)


@channels.command("disconnect")
def disconnect(id: IdArgument, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """End a connection and forget its secret; what it sent stays."""
    from supover import settings, terminal
    from supover.access import audit
    from supover.channels import commands, queries, sealing

    async def act() -> "Connection":
        hooks = sealing.hooks(settings.load())
        async with terminal.database() as db:
            workspace_id = await terminal.workspace(db, workspace)
            async with db.tx(workspace_id, actor="cli") as tx:
                await commands.disconnect(tx, hooks, id)
                await audit.record(tx, "channels.disconnect", id)
                return await queries.find(tx, hooks, id)

    terminal.show(terminal.run(act), json=json)


def _platform(given: str) -> Any:
    from supover.channels.connectors import CONNECTORS
    from supover.kit.problems import Invalid

    if given.upper() not in CONNECTORS:
        raise Invalid.at("PLATFORM", "choice", f"must be one of {', '.join(CONNECTORS)}")
    return given.upper()


# --- inbox -----------------------------------------------------------------------------------------------------------

StatusOption = Annotated[
    str | None, typer.Option("--status", metavar="STATUS", help="pending, applied, ignored, dead.")
]
TopicOption = Annotated[str | None, typer.Option("--topic", metavar="TOPIC", help="As in orders/create.")]
ConnectionOption = Annotated[UUID | None, typer.Option("--connection", metavar="ID", help="Only of this connection.")]


@inbox.command("list", epilog="Example: supover inbox list --status dead")
def list_messages(
    status: StatusOption = None,
    topic: TopicOption = None,
    connection: ConnectionOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, metavar="N", help="At most so many.")] = 25,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """List what channels sent, the newest first."""
    from supover import terminal
    from supover.inbox import queries
    from supover.kit.sql import page

    async def act() -> "Sequence[Message]":
        asked = page(queries.SORTS, limit=limit, sort=None, cursor=None)
        found = _status(status, ("pending", "applied", "ignored", "dead"))
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            listing = await queries.search(reader, asked, status=found, connection_id=connection, topic=topic)
            return listing.data

    columns = ("id", "shop", "topic", "status", "attempts", "receivedAt", "settledAt", "reason")
    found = terminal.run(act)
    terminal.show(found if json else [terminal.only(one, columns) for one in found], json=json)


@inbox.command("show")
def show(
    id: IdArgument,
    body: Annotated[bool, typer.Option("--body", help="The message itself, byte for byte.")] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Show one message and what became of it."""
    from supover import terminal
    from supover.inbox import queries

    async def act() -> "Message | bytes":
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
            return await (queries.body(reader, id) if body else queries.find(reader, id))

    found = terminal.run(act)
    if isinstance(found, bytes):
        sys.stdout.buffer.write(found)
    else:
        terminal.show(found, json=json)


@inbox.command("replay", epilog="Example: supover inbox replay --status dead --topic orders/create")
def replay(
    ids: Annotated[
        list[UUID] | None,
        typer.Argument(metavar="[ID]...", help="Only these; without any, all dead ones that fit."),
    ] = None,
    status: StatusOption = None,
    topic: TopicOption = None,
    connection: ConnectionOption = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", metavar="TIME", help="Received then or later, in the workspace's time."),
    ] = None,
    until: Annotated[datetime | None, typer.Option("--until", metavar="TIME", help="Received before.")] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Work messages off again: whatever they did before they do not do twice."""
    from supover import terminal
    from supover.access import audit
    from supover.inbox import commands
    from supover.inbox.model import MessageNotFound, Replay
    from supover.orders import queries as orders

    async def act() -> "Replayed":
        wanted = Replay(
            status=_status(status, ("dead", "ignored", "applied")),
            ids=ids or None,
            topic=topic,
            connection_id=connection,
            received_from=since,
            received_to=until,
        )
        async with terminal.database() as db:
            workspace_id = await terminal.workspace(db, workspace)
            async with db.tx(workspace_id, actor="cli") as tx:
                _, zone = await orders.currency_and_zone(tx)
                done = await commands.replay_many(tx, wanted, zone)
                if ids and done.replayed < len(set(ids)):
                    left = len(set(ids)) - done.replayed
                    raise MessageNotFound(f"{left} of them: unknown, pending already, or forgotten. None was replayed.")
                await audit.record(tx, "inbox.replay_many")
        return done

    terminal.show(terminal.run(act), json=json)


def _status(given: str | None, choices: tuple[str, ...]) -> Any:
    from supover.kit.problems import Invalid

    if given is not None and given not in choices:
        raise Invalid.at("--status", "choice", f"must be one of {', '.join(choices)}")
    return cast("Any", given)
