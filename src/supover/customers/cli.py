"""supover customers find, show, identities and tags; tags list, rename, merge and delete; custom-fields list, create, delete."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final, get_args

import typer

from supover.access.cli import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from uuid import UUID

    from supover.customers.custom_field_model import CustomField
    from supover.customers.model import Customer, CustomerIdentity, TagCount
    from supover.kit.db import Reader

customers: Final = typer.Typer(no_args_is_help=True, help="Customers: found and shown.")
tags: Final = typer.Typer(no_args_is_help=True, help="Tags in use, changed in all customers.")
fields: Final = typer.Typer(no_args_is_help=True, help="What values of customFields must be.")

WhoArgument = Annotated[str, typer.Argument(metavar="ID|EMAIL", help="The customer's id, or the whole email.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=200, metavar="N", help="At most so many.")]
_LINE: Final = ("id", "name", "email", "phone", "status", "orderCount", "totalSpent", "currency", "tags")


@customers.command("find", epilog='Example: supover customers find "nguyen 0912"')
def find_customers(
    search: Annotated[str, typer.Argument(metavar="TEXT", help="Any part of a name, email, phone or external id.")],
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="That have this tag; repeat for all of several.")
    ] = None,
    limit: LimitOption = 25,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Find customers as the API's search does, the newest first.

    Every word must be found; an order is found by its number, "in quotes" is a whole value.
    """
    from supover import terminal
    from supover.customers import queries, rules
    from supover.kit import sql

    async def act() -> "list[Customer]":
        filters = queries.Filters(terms=rules.terms(search), tag=tag or ())
        page = sql.page(queries.SORTS, limit=limit, sort=None, cursor=None)
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            found, _, _ = await queries.search(reader, filters, page)
            return found

    found = terminal.run(act)
    terminal.show(found if json else [terminal.only(customer, _LINE) for customer in found], json=json)


@customers.command("show", epilog="Example: supover customers show grace@hopper.example --json")
def show_customer(who: WhoArgument, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """Show a customer with their figures; as JSON with addresses, contacts, notes and newest orders too."""
    from supover import terminal
    from supover.customers import included, queries

    async def act() -> "Customer":
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
            found = await queries.find(reader, await _whose(reader, who), addresses=json)
            asked = ("identities", "notes", "orders") if json else ()
            [whole] = await included.with_them(reader, [found], asked)
            return whole

    found = terminal.run(act)
    terminal.show(found if json else _known(found), json=json)


@customers.command("identities", epilog="Example: supover customers identities grace@hopper.example")
def list_identities(
    who: WhoArgument, limit: LimitOption = 200, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """List the contacts by which orders come to a customer, the newest first."""
    from supover import terminal
    from supover.customers import identities
    from supover.kit import sql

    async def act() -> "list[CustomerIdentity]":
        page = sql.page(identities.SORTS, limit=limit, sort=None, cursor=None)
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
            found, _, _ = await identities.search(reader, await _whose(reader, who), page)
            return list(found)

    columns = ("id", "kind", "source", "shop", "value", "quality", "matchedBy", "isOwn", "lastSeenAt")
    found = terminal.run(act)
    terminal.show(found if json else [terminal.only(one, columns) for one in found], json=json)


@tags.command("list")
@customers.command("tags")
def list_tags(
    search: Annotated[str, typer.Argument(metavar="TEXT", help="How the tags begin.")] = "",
    limit: LimitOption = 200,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """List the tags in use and how many customers have each, the most used first."""
    from supover import terminal
    from supover.customers import tags
    from supover.kit import sql, text

    async def act() -> "list[TagCount]":
        page = sql.page(tags.SORTS, limit=limit, sort=None, cursor=None)
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace), search=True) as reader:
            found, _ = await tags.search(reader, page, text.clean(search))
            return found

    terminal.show(terminal.run(act), json=json)


DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say how many customers it is about.")]
TagArgument = Annotated[str, typer.Argument(metavar="TAG", help="In any case.")]
TagsArgument = Annotated[list[str], typer.Argument(metavar="TAG…", help="In any case.")]


@tags.command("rename", epilog='Example: supover tags rename "whole sale" wholesale --dry-run')
def rename_tag(
    tag: TagArgument,
    into: Annotated[str, typer.Argument(metavar="NEW", help="What it becomes.")],
    dry_run: DryRunOption = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Rename a tag in all customers; who has the new one already keeps one of the two. A worker does it."""
    _change_tags("tags.rename", [tag], into, dry_run=dry_run, workspace=workspace, json=json)


@tags.command("merge", epilog="Example: supover tags merge b2b trade --into wholesale")
def merge_tags(
    gone: TagsArgument,
    into: Annotated[str, typer.Option("--into", metavar="TAG", help="What they become.")],
    dry_run: DryRunOption = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Make several tags one in all customers. A worker does it."""
    _change_tags("tags.merge", gone, into, dry_run=dry_run, workspace=workspace, json=json)


@tags.command("delete", epilog="Example: supover tags delete old older --dry-run")
def delete_tags(
    gone: TagsArgument, dry_run: DryRunOption = False, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """Remove tags from all customers. A worker does it."""
    _change_tags("tags.delete", gone, None, dry_run=dry_run, workspace=workspace, json=json)


def _change_tags(
    operation: str, gone: Sequence[str], into: str | None, *, dry_run: bool, workspace: str | None, json: bool
) -> None:
    from supover import terminal
    from supover.access import audit
    from supover.customers import (
        jobs,  # noqa: F401  # pyright: ignore[reportUnusedImport]  the job is known by it
        tag_changes,
    )
    from supover.customers.tag_change_model import TagChangeBegun

    async def act() -> TagChangeBegun:
        new = None if into is None else tag_changes.wanted(into, "/into")
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                begun = await tag_changes.begin(tx, gone, new, pointer="/tags", dry_run=dry_run)
                if not dry_run:
                    await audit.record(tx, operation, None)
        return begun

    terminal.show(terminal.run(act), json=json)


@fields.command("list")
def list_fields(context: typer.Context, workspace: WorkspaceOption = None, json: JsonOption = False) -> None:
    """List the custom fields that are declared, in their order."""
    from supover import terminal

    async def act() -> "list[CustomField]":
        async with terminal.database() as db, db.reader(await terminal.workspace(db, workspace)) as reader:
            return await _fields(reader)

    columns = ("id", "key", "label", "type", "choices", "isRequired", "isUnique", "indexState")
    found = terminal.run(act, context)
    terminal.show(found if json else [terminal.only(one, columns) for one in found], json=json)


@fields.command("create", epilog="Example: supover custom-fields create roast choice --choice light --choice dark")
def create_field(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The name in customFields.")],
    type: Annotated[str, typer.Argument(metavar="TYPE", help="text, number, date, boolean, choice or list.")],
    label: Annotated[str | None, typer.Option("--label", metavar="TEXT", help="What people see; else the key.")] = None,
    choice: Annotated[list[str] | None, typer.Option("--choice", metavar="TEXT", help="Repeat for several.")] = None,
    pattern: Annotated[
        str | None, typer.Option("--pattern", metavar="RE", help="What a whole text must match.")
    ] = None,
    required: Annotated[bool, typer.Option("--required", help="Every customer who is made must have it.")] = False,
    unique: Annotated[bool, typer.Option("--unique", help="No two customers can have the same value.")] = False,
    indexed: Annotated[bool, typer.Option("--indexed", help="Makes filters quick. A worker builds the index.")] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Declare a custom field; values that are there stay."""
    import msgspec

    from supover import terminal
    from supover.access import audit
    from supover.customers import (
        custom_fields,
        jobs,  # noqa: F401  # pyright: ignore[reportUnusedImport]  the job is known by it
    )
    from supover.customers.custom_field_model import FieldType, NewCustomField
    from supover.kit.problems import Invalid

    async def act() -> "CustomField":
        try:
            known = msgspec.convert(type, FieldType)
        except msgspec.ValidationError:
            raise Invalid.at("/type", "choice", f"must be one of {', '.join(get_args(FieldType))}") from None
        new = NewCustomField(
            key=key,
            type=known,
            label=label,
            choices=choice or (),
            pattern=pattern,
            is_required=required,
            is_unique=unique,
            is_indexed=indexed,
        )
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                made = await custom_fields.create(tx, new)
                await audit.record(tx, "fields.create", made.id)
        return made

    terminal.show(terminal.run(act, context), json=json)


@fields.command("delete", epilog="Example: supover custom-fields delete roast")
def delete_field(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its key, in any case.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Forget what is declared of a custom field. Values stay, as any JSON."""
    from supover import terminal
    from supover.access import audit
    from supover.customers import (
        custom_fields,
        jobs,  # noqa: F401  # pyright: ignore[reportUnusedImport]  the job is known by it
    )

    async def act() -> None:
        async with terminal.database() as db:
            id = await terminal.workspace(db, workspace)
            async with db.tx(id, actor="cli") as tx:
                found = next((one for one in await _fields(tx) if one.key.lower() == key.lower()), None)
                if found is None:
                    terminal.fail(f"No custom field {key} in this workspace")
                await custom_fields.delete(tx, found.id)
                await audit.record(tx, "fields.delete", found.id)

    terminal.run(act, context)


async def _fields(reader: "Reader") -> "list[CustomField]":
    from supover.customers import custom_field_rules, custom_fields
    from supover.kit import sql

    page = sql.page(custom_fields.SORTS, limit=custom_field_rules.MAX_FIELDS, sort=None, cursor=None)
    found, _, _ = await custom_fields.search(reader, page)
    return found


async def _whose(reader: "Reader", who: str) -> "UUID":
    """Which living customer is meant. Raises CustomerNotFound, CustomerMerged.

    Ends the program where nobody has the email.
    """
    from uuid import UUID

    from supover import terminal
    from supover.customers import queries
    from supover.kit import sql

    try:
        id = UUID(who)
    except ValueError:
        page = sql.page(queries.SORTS, limit=1, sort=None, cursor=None)
        found, _, _ = await queries.search(reader, queries.Filters(email=who), page)
        if not found:
            terminal.fail(f"Nobody has the email {who} in this workspace")
        return found[0].id
    await queries.exists(reader, id)
    return id


def _known(customer: "Customer") -> dict[str, object]:
    """What is known of a customer: every field that says something."""
    import msgspec

    from supover import terminal

    names = [field.encode_name for field in msgspec.structs.fields(customer)]
    found = terminal.only(customer, names)
    return {name: value for name, value in found.items() if value not in (None, [], (), {}, msgspec.UNSET)}
