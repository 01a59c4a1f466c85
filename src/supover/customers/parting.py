"""A part of a customer becomes a customer: contacts go along, and leave the former profile."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from supover.customers import many
from supover.customers.custom_field_model import Definitions
from supover.customers.many import Held
from supover.kit.db import Tx

ADD: Final = """
    insert into customer (workspace_id, id, source, external_id, email, name, phone, phone_e164, country)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"""
EMAIL_HOLDER: Final = """
    select c.id from customer c
     where c.workspace_id = $1 and lower(c.email) = lower($2) and c.deleted_at is null and c.id <> $3"""
MARK_MOVED: Final = """
    update customer_identity i set matched_by = 'moved'
     where i.workspace_id = $1 and i.id = any($2::uuid[])"""
PART: Final = """
    update customer_identity i
       set customer_id = c.id, version = i.version + 1,
           matched_by = case when i.value = case i.kind when 'email' then c.email when 'phone' then c.phone
                                                        else c.external_id end
                             then 'profile' else 'moved' end
      from customer c
     where i.workspace_id = $1 and i.id = any($3::uuid[]) and c.workspace_id = $1 and c.id = $2"""


async def part(tx: Tx, old: Held, left: Held, new: Held, contact_ids: Sequence[UUID], definitions: Definitions) -> None:
    """Makes a new customer of a part of one that is held: these contacts lead to the new one, and leave the former profile.

    An email that a third customer's profile shows stays there; the new one has it as a contact. Publishes what an edit of the
    former profile publishes.
    """
    ids = list(contact_ids)
    # The profile drops what it no longer says; what goes along must outlive that.
    await tx.run(MARK_MOVED, ids)
    await many.store(tx, [(old, left)], definitions)
    p = new.profile
    email = p.email
    if email is not None and await tx.rows(EMAIL_HOLDER, email, new.id):
        email = None
    await tx.run(ADD, new.id, p.source, p.external_id, email, p.name, p.phone, p.phone_e164, p.country)
    await tx.run(PART, new.id, ids)
