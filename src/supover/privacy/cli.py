"""supover customers export-data, erase, cancel-erasure, erasures."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import msgspec
import typer

from supover.access.cli import JsonOption, WorkspaceOption
from supover.kit.problems import FieldError, Invalid

if TYPE_CHECKING:
    from supover.kit.db import Database
    from supover.privacy.model import PrivacyRequest

customers: Final = typer.Typer(no_args_is_help=True)

STDOUT: Final = "-"


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not the id of a customer", param_hint="ID") from None


@customers.command("export-data", epilog="Example: supover customers export-data 0192… --out ann.json --page ann.html")
def export_data(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="A customer's id.")],
    out: Annotated[
        str, typer.Option("--out", metavar="FILE|-", help="Where to, as JSON; - is standard output.")
    ] = STDOUT,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FILE", help="Also as a page to read and print.")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write everything that is kept of a customer."""
    from supover import terminal
    from supover.access import audit
    from supover.customers.model import CustomerErased
    from supover.privacy import exporting, queries

    customer_id = _uuid(id)

    async def act() -> tuple[bytes, bytes]:
        async with terminal.database() as db:
            workspace_id = await terminal.workspace(db, workspace)
            async with db.snapshot(workspace_id) as reader:
                if await queries.is_erased(reader, customer_id, "/privacy/export"):
                    raise CustomerErased
                told = await exporting.tell(reader, customer_id)
            async with db.tx(workspace_id, actor="cli") as tx:
                await audit.record(tx, "privacy.export", customer_id)
            return exporting.as_json(told), exporting.as_page(told)

    said, shown = terminal.run(act, context)
    if page is not None:
        _write(str(page), shown)
    _write(out, said + b"\n")


def _write(out: str, data: bytes) -> None:
    """To a file, or to standard output."""
    from supover import terminal

    if out == STDOUT:
        sys.stdout.buffer.write(data)
        return
    try:
        Path(out).write_bytes(data)
    except OSError as error:
        terminal.fail(f"{out} cannot be written: {error.strerror}.")


@customers.command("erase", epilog="Example: supover customers erase 0192… --yes")
def erase(
    context: typer.Context,
    id: Annotated[str | None, typer.Argument(metavar="ID", help="A customer's id.")] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; it goes with the person.")
    ] = None,
    delay_days: Annotated[
        int | None, typer.Option("--delay-days", metavar="N", min=0, max=30, help="How long it can be cancelled.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: it cannot be undone.")] = False,
    replay: Annotated[
        Path | None, typer.Option("--replay", metavar="FILE", help="After a restore: erase again whom this list names.")
    ] = None,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Erase a customer for good, or all of a list of erasures again.

    At once, or after as many days as --delay-days or the workspace says; until then `supover customers cancel-erasure` keeps them.
    """
    from supover import terminal
    from supover.privacy.model import REASON_LENGTH, PrivacyRequest

    if (id is None) == (replay is None):
        raise typer.BadParameter("give a customer's id, or --replay with a list", param_hint="ID")
    if replay is not None:
        _replay(context, replay, workspace, json=json)
        return
    assert id is not None
    customer_id = _uuid(id)
    if not (yes or dry_run) and (
        not sys.stdin.isatty() or not typer.confirm(f"Erase customer {customer_id} for good?")
    ):
        raise typer.BadParameter("it cannot be undone: say --yes", param_hint="--yes")

    async def act() -> Any:
        if reason is not None and len(reason) > REASON_LENGTH:
            raise Invalid.at("--reason", "length", f"can have at most {REASON_LENGTH} characters")
        async with terminal.database() as db:
            return await _erase(
                db, await terminal.workspace(db, workspace), customer_id, reason, delay_days, dry_run=dry_run
            )

    done = terminal.run(act, context)
    _show(done, json=json)
    if isinstance(done, PrivacyRequest) and done.status == "pending":
        terminal.note(
            f"Nothing is erased before {done.run_at:%Y-%m-%d %H:%M}Z; "
            f"`supover customers cancel-erasure {done.id}` cancels it."
        )


def _show(done: object, *, json: bool) -> None:
    from supover import terminal
    from supover.privacy.model import Certificate

    if json or not isinstance(done, Certificate):
        terminal.show(done, json=json)
        return
    names = [field.encode_name for field in msgspec.structs.fields(Certificate)]
    rows = ", ".join(f"{table} {count:,}" for table, count in done.rows.items())
    terminal.show(terminal.only(done, names) | {"rows": rows})


async def _erase(
    db: "Database", workspace_id: UUID, customer_id: UUID, reason: str | None, delay_days: int | None, *, dry_run: bool
) -> Any:
    from supover import settings as configuration
    from supover.kit import storage
    from supover.privacy import commands, files, queries
    from supover.privacy import jobs as jobs  # registers what is deferred
    from supover.privacy.model import ErasureAsked

    if dry_run:
        async with db.tx(workspace_id, actor="cli") as tx:
            return await commands.try_erase(tx, customer_id)
    async with db.tx(workspace_id, actor="cli") as tx:
        request = await commands.ask_erase(tx, customer_id, ErasureAsked(reason=reason, delay_days=delay_days))
    if request.already or request.run_at - request.created_at > timedelta(minutes=1):
        return request
    keep = storage.of(configuration.load().storage_url)
    telling = await files.that_tell(db, workspace_id, keep, [customer_id])
    async with db.tx(workspace_id, actor="cli") as tx:
        await commands.erase(tx, request.id, telling)
    async with db.reader(workspace_id) as reader:
        return await queries.certificate(reader, request.id)


def _replay(context: typer.Context, file: Path, workspace: str | None, *, json: bool) -> None:
    from supover import settings as configuration
    from supover import terminal
    from supover.kit import storage
    from supover.privacy import jobs as jobs  # registers what is deferred
    from supover.privacy import replaying

    try:
        given = file.read_bytes().splitlines()
    except OSError as error:
        terminal.fail(f"{file} cannot be read: {error.strerror}.")

    async def act() -> replaying.Replayed:
        keep = storage.of(configuration.load().storage_url)
        async with terminal.database() as db:
            workspace_id = await terminal.workspace(db, workspace)
            try:
                return await replaying.replay(db, workspace_id, keep, given, lambda _: None)
            except Invalid as wrong:
                # Pointers are numbers of lines.
                raise Invalid(
                    [
                        FieldError(f"--replay {file}, line {one.pointer[1:]}", one.code, one.message)
                        for one in wrong.errors
                    ]
                ) from None

    terminal.show(terminal.run(act, context), json=json)


@customers.command("cancel-erasure", epilog="Example: supover customers cancel-erasure REQUEST_ID")
def cancel_erasure(
    context: typer.Context,
    request: Annotated[UUID, typer.Argument(metavar="REQUEST", help="The id of the request, as erase said it.")],
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Keep a customer whose erasure waits for its day."""
    from supover import terminal
    from supover.access import audit
    from supover.privacy import commands

    async def act() -> "PrivacyRequest":
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                done = await commands.cancel(tx, request)
                await audit.record(tx, "privacy.cancel", request)
                return done

    terminal.show(terminal.run(act, context), json=json)


@customers.command("erasures", epilog="Example: supover customers erasures --out /backups/erasures.jsonl")
def erasures(
    context: typer.Context,
    out: Annotated[str, typer.Option("--out", metavar="FILE|-", help="Where to; - is standard output.")] = STDOUT,
    workspace: WorkspaceOption = None,
) -> None:
    """Write the list of erasures, to be kept beside backups: ids, times and keyed hashes."""
    from supover import terminal
    from supover.privacy import replaying

    async def act() -> list[bytes]:
        async with terminal.database() as db:
            return [line async for line in replaying.lines(db, await terminal.workspace(db, workspace))]

    _write(out, b"".join(line + b"\n" for line in terminal.run(act, context)))
