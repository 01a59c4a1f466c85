"""The web addresses of tags."""

from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from litestar import Request
from litestar.params import QueryParameter

from supover.customers import rules, tag_changes, tags
from supover.customers.model import CustomerTags, TagCount, TagsToAdd
from supover.customers.tag_change_model import TagChange, TagChangeBegun, TagMerge, TagRemoval, TagRename
from supover.kit import sql, text
from supover.kit.api import Answer, Cursor, IfMatch, Limit, Listing, Routes, version_of
from supover.kit.db import Reader, Tx
from supover.kit.problems import Invalid

AnyRequest = Request[Any, Any, Any]

routes = Routes("tags")


@routes.get("/api/tags", search=True, name="search")
async def search_tags(
    db: Reader,
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    sort: Annotated[
        str | None,
        QueryParameter(
            name="sort",
            required=False,
            description="customers or tag; - descends. What most customers have first unless told.",
        ),
    ] = None,
    wanted: Annotated[
        str | None,
        QueryParameter(
            name="search", required=False, description="How the tag begins; case and accents do not matter."
        ),
    ] = None,
) -> Listing[TagCount]:
    """List the tags in use, with how many customers have each.

    Deleted customers do not count. `countedAt` is now, but for workspaces with more than 25,000 tagged customers: their tags
    are counted again within five minutes after a change.
    """
    beginning = text.clean(wanted or "")
    if len(beginning) > rules.TAG_LENGTH:
        raise Invalid.at("search", "length", f"can have at most {rules.TAG_LENGTH} characters")
    page = sql.page(tags.SORTS, limit=limit, sort=sort, cursor=cursor)
    found, following = await tags.search(db, page, beginning)
    return Listing(found, following)


@routes.get("/api/customers/{id:uuid}/tags", name="of_customer")
async def find_tags(db: Reader, id: UUID) -> CustomerTags:
    """Read a customer's tags.

    The ETag is the customer's.
    """
    return await tags.of(db, id)


@routes.post("/api/customers/{id:uuid}/tags", name="add")
async def add_tags(tx: Tx, id: UUID, data: TagsToAdd, if_match: IfMatch = None) -> CustomerTags:
    """Add tags to a customer.

    Those that are there already stay as they are; at most 250, of at most 100 characters each.
    """
    return await tags.add(tx, id, data.tags, version_of(if_match))


@routes.delete("/api/customers/{id:uuid}/tags/{tag:path}", name="remove")
async def remove_tag(tx: Tx, request: AnyRequest, id: UUID, tag: str, if_match: IfMatch = None) -> None:
    """Remove a tag from a customer.

    In any case; in the address percent-encoded, a slash as it is or as %2F.
    """
    gone = _tag(request, tag)
    await tags.remove(tx, id, [gone], version_of(if_match), below=f"/tags/{quote(gone, safe='')}")


@routes.delete("/api/customers/{id:uuid}/tags", name="remove_many", status=200)
async def remove_tags(
    tx: Tx,
    id: UUID,
    gone: Annotated[
        list[str] | None,
        QueryParameter(name="tag", required=False, description="Repeat for several; in any case."),
    ] = None,
    if_match: IfMatch = None,
) -> CustomerTags:
    """Remove tags from a customer.

    Any tag can be named here, one of nothing but slashes too.
    """
    return await tags.remove(tx, id, gone or (), version_of(if_match))


# --- in all customers ----------------------------------------------------------------------------------------------------


@routes.patch("/api/tags/{tag:path}", name="rename", status=202, also=200)
async def rename_tag(tx: Tx, request: AnyRequest, tag: str, data: TagRename) -> Answer[TagChangeBegun]:
    """Rename a tag in all customers.

    By a job, after the changes that were asked for before; `/api/tag-changes/{id}` shows how far it is. Who has the new one
    already keeps one of the two. A tag that cannot stand in an address, of nothing but slashes or called merge or delete, is
    renamed by a merge of it alone.
    """
    into = tag_changes.wanted(data.tag, "/tag")
    return _begun(await tag_changes.begin(tx, [_tag(request, tag)], into, pointer="tag", dry_run=data.dry_run))


@routes.post("/api/tags/merge", name="merge", status=202, also=200)
async def merge_tags(tx: Tx, data: TagMerge) -> Answer[TagChangeBegun]:
    """Make several tags one in all customers.

    By a job, after the changes that were asked for before; `/api/tag-changes/{id}` shows how far it is. `dryRun` says how many
    customers it is about, with 200; so is answered where nobody has the tags.
    """
    into = tag_changes.wanted(data.into, "/into")
    return _begun(await tag_changes.begin(tx, data.tags, into, pointer="/tags", dry_run=data.dry_run))


@routes.post("/api/tags/delete", name="delete_many", status=202, also=200)
async def delete_tags(tx: Tx, data: TagRemoval) -> Answer[TagChangeBegun]:
    """Remove tags from all customers.

    By a job, after the changes that were asked for before; `/api/tag-changes/{id}` shows how far it is. `dryRun` says how many
    customers it is about, with 200; so is answered where nobody has the tags.
    """
    return _begun(await tag_changes.begin(tx, data.tags, None, pointer="/tags", dry_run=data.dry_run))


@routes.delete("/api/tags/{tag:path}", name="delete", status=202, also=200)
async def delete_tag(
    tx: Tx,
    request: AnyRequest,
    tag: str,
    dry_run: Annotated[
        bool | None, QueryParameter(name="dryRun", required=False, description="Only say how many customers have it.")
    ] = None,
) -> Answer[TagChangeBegun]:
    """Remove a tag from all customers.

    By a job, after the changes that were asked for before; `/api/tag-changes/{id}` shows how far it is.
    """
    return _begun(await tag_changes.begin(tx, [_tag(request, tag)], None, pointer="tag", dry_run=bool(dry_run)))


@routes.get("/api/tag-changes", search=True, name="search_changes")
async def search_changes(
    db: Reader,
    request: AnyRequest,
    limit: Limit = None,
    cursor: Cursor = None,
    sort: Annotated[
        str | None, QueryParameter(name="sort", required=False, description="createdAt or -createdAt.")
    ] = None,
) -> Listing[TagChange]:
    """List the changes of tags in all customers.

    The newest first.
    """
    asked = sql.page(tag_changes.SORTS, limit=limit, sort=sort, cursor=cursor)
    return Listing(*await tag_changes.search(db, asked))


@routes.get("/api/tag-changes/{id:uuid}", name="find_change")
async def find_change(db: Reader, id: UUID) -> TagChange:
    """Read a change of tags in all customers, and how far it is."""
    return await tag_changes.find(db, id)


@routes.post("/api/tag-changes/{id:uuid}/cancel", name="cancel_change")
async def cancel_change(tx: Tx, id: UUID) -> TagChange:
    """Cancel a change of tags in all customers.

    Customers that are changed already stay so. 409 when it has ended.
    """
    return await tag_changes.cancel(tx, id)


def _tag(request: AnyRequest, decoded: str) -> str:
    _, _, raw = request.scope["raw_path"].partition(b"/tags/")
    return rules.as_written(raw, decoded, "The tag")


def _begun(change: TagChangeBegun) -> Answer[TagChangeBegun]:
    if change.id is None:
        return Answer(change, 200)
    return Answer(change, 202, {"Location": f"/api/tag-changes/{change.id}"})
