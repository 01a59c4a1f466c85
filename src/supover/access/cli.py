"""supover workspaces, supover staff, supover keys."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

if TYPE_CHECKING:
    from supover.access.permissions import Role

workspaces: Final = typer.Typer(no_args_is_help=True, help="Workspaces: the sellers of this installation.")
staff: Final = typer.Typer(no_args_is_help=True, help="Staff: who signs in to a workspace, and as what.")
keys: Final = typer.Typer(no_args_is_help=True, help="API keys: what programs sign in with.")

WorkspaceOption = Annotated[
    str | None,
    typer.Option(
        "--workspace", metavar="ID", help="The workspace (SUPOVER_WORKSPACE); not needed where there is only one."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL")]
RoleOption = Annotated[str, typer.Option("--role", metavar="ROLE", help="owner, admin, agent or viewer.")]


# --- workspaces ------------------------------------------------------------------------------------------------------


@workspaces.command(
    "create", epilog="Example: supover workspaces create --name Shop --currency GBP --timezone Europe/London --json"
)
def create_workspace(
    context: typer.Context,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What people call it.")],
    currency: Annotated[str, typer.Option("--currency", metavar="CODE", help="ISO 4217; fixed after the first order.")],
    timezone: Annotated[str, typer.Option("--timezone", metavar="ZONE", help="IANA name; where days begin.")] = "UTC",
    json: JsonOption = False,
) -> None:
    """Make a workspace, with an API key that may do everything and has no rate limit. The key is shown once."""
    from supover import terminal
    from supover.access import audit, commands
    from supover.access.model import NewKey, NewWorkspace, operator
    from supover.kit import ids

    async def act() -> dict[str, object]:
        id = ids.new()
        new = NewWorkspace(name=name, currency=currency.upper(), timezone=timezone)
        async with terminal.database() as db, db.tx(id, actor="cli") as tx:
            made = await commands.create_workspace(tx, new)
            wanted = NewKey(name="First key", scopes=["admin"])
            key = await commands.create_key(tx, operator(id), wanted, most_a_minute=None)
            await audit.record(tx, "access.create_workspace", id)
        return {
            "id": made.id,
            "apiKey": key.api_key,
            "name": made.name,
            "currency": made.currency,
            "timezone": made.timezone,
        }

    terminal.show(terminal.run(act, context), json=json)


@workspaces.command("list")
def list_workspaces(json: JsonOption = False) -> None:
    """List all workspaces, the oldest first."""
    from supover import terminal
    from supover.access import queries
    from supover.access.model import WorkspaceLine

    async def act() -> list[WorkspaceLine]:
        async with terminal.database() as db:
            return await queries.search_workspaces(db)

    terminal.show(terminal.run(act), json=json)


# --- staff -----------------------------------------------------------------------------------------------------------


@staff.command("add", epilog="Example: supover staff add ann@shop.example --name 'Ann Lee' --role agent")
def add_staff(
    email: EmailArgument,
    role: RoleOption,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Needed for who has no account yet.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input instead of making one.")
    ] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Let somebody into a workspace. A new account's temporary password is shown once."""
    from supover import terminal
    from supover.access import audit, commands
    from supover.access.model import AddedMember, NewStaff, operator

    password = terminal.read_line("Password: ") if password_stdin else None

    async def act() -> AddedMember:
        new = NewStaff(email=email, name=name, role=_role(role))
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                member = await commands.add_staff(tx, operator(id), new, password)
                await audit.record(tx, "access.add_staff", member.id)
        return member

    terminal.show(terminal.run(act), json=json)


@staff.command("list")
def list_staff(workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """List a workspace's members, by name."""
    from supover import terminal
    from supover.access import queries
    from supover.access.model import Member

    async def act() -> list[Member]:
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
            return await queries.search_staff(reader)

    terminal.show(terminal.run(act), json=json)


@staff.command("role", epilog="Example: supover staff role ann@shop.example admin")
def change_role(
    email: EmailArgument,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="owner, admin, agent or viewer.")],
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Give a member another role."""
    from supover import terminal
    from supover.access import audit, commands, queries
    from supover.access.model import Member, operator

    async def act() -> Member:
        wanted = _role(role)
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                member = await queries.find_staff_by_email(tx, email)
                changed = await commands.change_role(tx, operator(id), member.id, wanted)
                await audit.record(tx, "access.change_staff", member.id)
        return changed

    terminal.show(terminal.run(act), json=json)


@staff.command("remove")
def remove_staff(email: EmailArgument, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """End a membership; the account and its other memberships stay."""
    from supover import terminal
    from supover.access import audit, commands, queries
    from supover.access.model import operator

    async def act() -> dict[str, object]:
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                member = await queries.find_staff_by_email(tx, email)
                await commands.remove_staff(tx, operator(id), member.id)
                await audit.record(tx, "access.remove_staff", member.id)
        return {"id": member.id, "email": member.email, "removed": True}

    terminal.show(terminal.run(act), json=json)


@staff.command("reset-password")
def reset_password(
    email: EmailArgument,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input instead of making one.")
    ] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Give a member another password and end their sessions. A password that is made here is shown once."""
    from supover import terminal
    from supover.access import audit, commands, queries

    password = terminal.read_line("Password: ") if password_stdin else None

    async def act() -> dict[str, object]:
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                member = await queries.find_staff_by_email(tx, email)
                temporary = await commands.reset_password(tx, member, password)
                await audit.record(tx, "access.reset_password", member.id)
        return {"id": member.id, "email": member.email, "temporaryPassword": temporary}

    terminal.show(terminal.run(act), json=json)


@staff.command("reset-second-step")
def reset_second_step(email: EmailArgument, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Let a member who has lost their app and recovery codes sign in with the password alone."""
    from supover import terminal
    from supover.access import audit, queries, second_step

    async def act() -> dict[str, object]:
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                member = await queries.find_staff_by_email(tx, email)
                ended = await second_step.end(tx, member.id)
                await audit.record(tx, "access.end_second_step", member.id)
        return {"id": member.id, "email": member.email, "reset": ended}

    terminal.show(terminal.run(act), json=json)


@staff.command("disable")
def disable_staff(
    email: EmailArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Let a disabled account sign in again.")] = False,
    json: JsonOption = False,
) -> None:
    """End somebody's signing in, in every workspace. Nothing happens where that would leave one without an owner."""
    from supover import terminal
    from supover.access import audit, commands, queries

    async def act() -> dict[str, object]:
        async with terminal.database() as db:
            id = await (commands.enable_staff if undo else commands.disable_staff)(db, email)
            for choice in await queries.workspaces_of(db, id):
                async with db.tx(choice.id, actor="cli") as tx:
                    await audit.record(tx, "access.enable_staff" if undo else "access.disable_staff", id)
        return {"id": id, "email": email, "disabled": not undo}

    terminal.show(terminal.run(act), json=json)


# --- keys ------------------------------------------------------------------------------------------------------------


@keys.command(
    "create", epilog="Example: supover keys create --name Storefront --scope orders:write --scope customers:read --json"
)
def create_key(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What it is for.")],
    scope: Annotated[list[str], typer.Option("--scope", metavar="SCOPE", help="What it may do; repeat for several.")],
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="TIME", help="RFC 3339; without an offset the workspace's time.")
    ] = None,
    rate_limit: Annotated[
        int | None, typer.Option("--rate-limit", metavar="N", help="Requests a minute; without it there is no limit.")
    ] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Make an API key. It is shown once."""
    from supover import terminal
    from supover.access import audit, commands
    from supover.access.model import CreatedKey, NewKey, operator

    async def act() -> CreatedKey:
        new = NewKey(name=name, scopes=scope, expires_at=_time(expires), rate_limit=rate_limit)
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                key = await commands.create_key(tx, operator(id), new, most_a_minute=None)
                await audit.record(tx, "access.create_key", key.id)
        return key

    terminal.show(terminal.run(act), json=json)


@keys.command("list")
def list_keys(
    with_revoked: Annotated[bool, typer.Option("--all", help="Revoked ones too.")] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """List a workspace's API keys, the newest first, without their secrets."""
    from supover import terminal
    from supover.access import queries
    from supover.access.model import ApiKey
    from supover.kit.sql import MAX_LIMIT, page

    async def act() -> list[ApiKey]:
        found: list[ApiKey] = []
        cursor: str | None = None
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
            while True:
                wanted = page(queries.KEY_SORTS, limit=MAX_LIMIT, sort=None, cursor=cursor)
                listing = await queries.search_keys(reader, wanted, revoked=with_revoked)
                found += listing.data
                cursor = listing.next_cursor
                if cursor is None:
                    return found

    terminal.show(terminal.run(act), json=json)


@keys.command("revoke")
def revoke_key(
    id: Annotated[UUID, typer.Argument(metavar="ID")], workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """Revoke an API key, for good. Servers that know it accept it for five seconds more."""
    from supover import terminal
    from supover.access import audit, commands
    from supover.access.model import ApiKey

    async def act() -> ApiKey:
        async with terminal.database() as db, db.tx(await terminal.workspace(db, workspace), actor="cli") as tx:
            key = await commands.revoke_key(tx, id)
            await audit.record(tx, "access.revoke_key", key.id)
        return key

    terminal.show(terminal.run(act), json=json)


def _role(text: str) -> "Role":
    from supover.access.permissions import ROLES
    from supover.kit.problems import Invalid

    for role in ROLES:
        if role == text:
            return role
    raise Invalid.at("role", "unknown", f"must be one of {', '.join(ROLES)}")


def _time(text: str | None) -> datetime | None:
    from supover.kit.problems import Invalid

    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise Invalid.at("expires", "invalid", "must be a time such as 2027-01-31T12:00:00Z") from None
