"""What the segment language can ask of a profile."""

from typing import Final, get_args

from supover.customers.model import Status
from supover.kit.filters import Field

FIELDS: Final = (
    Field(
        name="customer_tags",
        kind="list",
        words="tags",
        equals="ext.lower_all(c.tags) @> array[lower({0})]",
        any_of="ext.lower_all(c.tags) && ext.lower_all({0}::text[])",
        empty="c.tags = array[]::text[]",
        vocabulary="tag",
        aka=("tag", "tags"),
        example="customer_tags CONTAINS 'wholesale'",
    ),
    Field(
        name="customer_added_date",
        kind="moment",
        words="date of being added",
        sql="c.created_at",
        aka=("createdat", "created_at", "customer_created_date"),
        example="customer_added_date >= -30d",
    ),
    Field(
        name="customer_source",
        kind="text",
        words="source",
        sql="c.source",
        vocabulary="source",
        example="customer_source = 'ETSY'",
    ),
    Field(
        name="customer_email_domain",
        kind="text",
        words="email domain",
        sql="nullif(split_part(c.email, '@', 2), '')",
        aka=("email_domain", "domain"),
        example="customer_email_domain IN ('gmail.com', 'outlook.com')",
    ),
    Field(name="customer_email", kind="text", words="email", sql="c.email", example="customer_email IS NOT NULL"),
    Field(name="customer_phone", kind="text", words="phone", sql="c.phone", example="customer_phone CONTAINS '555'"),
    Field(name="customer_name", kind="text", words="name", sql="c.name", example="customer_name CONTAINS 'smith'"),
    Field(
        name="status",
        kind="choice",
        words="status",
        sql="c.status",
        choices=get_args(Status),
        example="status IN ('VIP', 'ACTIVE')",
    ),
    Field(
        name="date_of_birth",
        kind="day",
        words="date of birth",
        sql="c.date_of_birth",
        example="date_of_birth < -18y",
    ),
)
