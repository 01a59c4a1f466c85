"""Customers are made one, in one transaction; a dry run does the same and takes it back."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from supover.consent import moving as consent
from supover.customers import absorbing, custom_fields, erased, merge_rows, queries
from supover.customers.absorbing import Party
from supover.customers.events import CustomersMerged
from supover.customers.many import CUSTOM
from supover.customers.rules import FIELDS
from supover.kit import clock, ids
from supover.kit.db import Change, Tx, json_bytes
from supover.kit.events import publish
from supover.kit.problems import FieldError, Invalid
from supover.merging import queries as merges
from supover.merging import rules
from supover.merging.model import (
    AlreadyMerged,
    Blocker,
    ChosenValue,
    FieldChoice,
    MergeAnswer,
    MergeBlocked,
)

ADD: Final = """
    insert into customer_merge (workspace_id, id, primary_id, duplicate_ids, fields, actor, actor_name, primary_created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8)"""
NOTE: Final = "update customer_merge set moved = $3, joined = $4 where workspace_id = $1 and id = $2"


async def merge(
    tx: Tx,
    primary_id: UUID,
    duplicate_ids: Sequence[UUID],
    *,
    fields: Mapping[str, FieldChoice] | None = None,
    by: str | None = None,
    dry_run: bool = False,
) -> MergeAnswer:
    """Merges customers into the primary; `by` is a name for who does it, where it is not the actor's.

    All or nothing. Raises Invalid naming each that cannot be merged, AlreadyMerged with the survivor's id, MergeBlocked with the
    blockers; one of `kit.db.RACES` when others were quicker: tried again, it sees what they did. A dry run raises the same but
    MergeBlocked, and changes nothing.
    """
    rules.asked(primary_id, duplicate_ids)
    everybody = [primary_id, *duplicate_ids]
    if not dry_run:
        await absorbing.take_turn(tx, everybody)
    elif not await absorbing.is_turn(tx, everybody):
        # Whoever looks does not wait; what the merge leaves cannot be told before it is done.
        return _blocked({}, [Blocker("merge_running", "Another merge of some of these customers is under way.")], [])
    parties = await _parties(tx, everybody)
    primary, others = parties[primary_id], rules.best_first([parties[id] for id in duplicate_ids])
    given = await _checked(tx, fields or {})
    plan = rules.plan(primary, others, given, clock.now().date())
    blockers = [*await _blockers(tx, everybody), *plan.blockers]
    blockers += [
        Blocker("value_taken", clash.message, clash.holder, clash.field, is_soft=True)
        for clash in await absorbing.clashes(tx, plan.new, primary.held, [other.id for other in others])
    ]
    p = plan.new.profile
    warnings = await _warnings(tx, primary_id, others, (p.email, p.phone, p.phone_e164, p.country))
    if blockers:
        if not dry_run:
            raise MergeBlocked(blockers[0].message, extra={"blockers": blockers})
        return _blocked(plan.fields, blockers, warnings)
    if not dry_run:
        return await _merge(tx, primary, others, plan, warnings, by)
    async with tx.undone():
        done = await _merge(tx, primary, others, plan, warnings, by)
    return msgspec.structs.replace(done, merge_id=None, undoable_until=None, dry_run=True)


def _blocked(
    fields: Mapping[str, ChosenValue], blockers: Sequence[Blocker], warnings: Sequence[Blocker]
) -> MergeAnswer:
    return MergeAnswer(
        customer=None,
        merge_id=None,
        moved={},
        joined={},
        fields=fields,
        blockers=blockers,
        warnings=warnings,
        undoable_until=None,
        dry_run=True,
    )


async def _parties(tx: Tx, everybody: Sequence[UUID]) -> dict[UUID, Party]:
    """All of them, held. Raises Invalid, AlreadyMerged."""
    parties = await absorbing.hold(tx, everybody)
    errors: list[FieldError] = []
    for n, id in enumerate(everybody):
        pointer = "/primaryId" if n == 0 else f"/duplicateIds/{n - 1}"
        party = parties.get(id)
        if party is not None and (survivor := party.held.merged_into_id) is not None:
            raise AlreadyMerged(
                f"Customer {id} ({pointer}) was merged into {survivor}.",
                extra={"customerId": str(id), "mergedIntoId": str(survivor), "pointer": pointer},
            )
        if party is None:
            errors.append(FieldError(pointer, "unknown", "There is no customer with this id."))
        elif party.held.deleted_at is not None:
            is_erased = await merges.erased_of(tx, [id]) is not None
            errors.append(
                FieldError(pointer, "erased", "was erased")
                if is_erased
                else FieldError(pointer, "deleted", "is deleted; restore it first")
            )
    if errors:
        raise Invalid(errors)
    return parties


async def _checked(tx: Tx, fields: Mapping[str, FieldChoice]) -> Mapping[str, FieldChoice]:
    """The choices, values of custom fields as they are kept. Raises Invalid."""
    values = {
        name.removeprefix(CUSTOM): choice.value
        for name, choice in fields.items()
        if name.startswith(CUSTOM) and choice.value is not None and not isinstance(choice.customer_id, UUID)
    }
    if not values:
        return fields
    taken = await custom_fields.some(tx, values)
    if taken.errors:
        pointer = "/fields/customFields."
        told = [e.pointer.replace("/customFields/", pointer) for e in taken.errors]
        raise Invalid(
            [FieldError(where, e.code, e.message, e.position) for where, e in zip(told, taken.errors, strict=True)]
        )
    return {
        **fields,
        **{CUSTOM + key: FieldChoice(value=value) for key, value in taken.values.items()},
    }


async def _blockers(tx: Tx, everybody: Sequence[UUID]) -> list[Blocker]:
    found: list[Blocker] = []
    for one in await erased.pending(tx, everybody):
        why = f"Privacy request {one.request_id} is to erase this person; cancel it first, or wait until it is done."
        found.append(Blocker("privacy_request_pending", why, one.customer_id))
    return found


async def _warnings(
    tx: Tx, primary_id: UUID, others: Sequence[Party], contact: tuple[str | None, ...]
) -> list[Blocker]:
    """What is good to know before: who said otherwise about being written to."""
    return [
        Blocker(
            "consent_conflict",
            f"They said different things about {one.channel}/{one.topic}: {one.standing.state} is what counts.",
            one.of,
            f"{one.channel}/{one.topic}",
        )
        for one in await consent.concluded(tx, primary_id, [other.id for other in others], contact)
        if one.differ
    ]


async def _merge(
    tx: Tx,
    primary: Party,
    others: Sequence[Party],
    plan: rules.Plan,
    warnings: Sequence[Blocker],
    by: str | None,
) -> MergeAnswer:
    id, now = ids.new(), clock.now()
    gone = [other.id for other in others]
    sources: dict[str, Any] = {name: one.customer_id for name, one in plan.fields.items()}
    await tx.run(ADD, id, primary.id, gone, json_bytes(sources), tx.actor, by or tx.actor_name, primary.created_at)
    facts = await absorbing.absorb(tx, id, primary, others, plan.new, plan.dress)
    tx.changed("customer", primary.id, primary.held.profile, plan.new.profile, FIELDS)
    tx.changes += [Change("customer", one, "merged_into_id", None, primary.id) for one in gone]
    await publish(tx, [CustomersMerged(customer_id=primary.id, at=now, merge_id=id, duplicate_ids=gone)])
    await publish(tx, facts)
    moved, joined = await merges.counted(tx, id)
    await tx.run(NOTE, id, json_bytes(moved), json_bytes(joined))
    customer = await queries.find(tx, primary.id)
    return MergeAnswer(
        customer=customer,
        merge_id=id,
        moved=moved,
        joined=joined,
        fields=plan.fields,
        blockers=(),
        warnings=warnings,
        undoable_until=now + merge_rows.KEPT,
        dry_run=False,
    )
