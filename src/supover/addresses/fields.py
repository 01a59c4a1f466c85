"""What the segment language can ask of where customers are.

A region is written as its country and state, a city as those and its name, both as Shopify writes them; a city's name alone
will do, and neither spaces nor accents matter.
"""

from typing import Final

from supover.kit import countries
from supover.kit.filters import Field

_ADDRESS: Final = "exists (select 1 from address a where a.workspace_id = $1 and a.customer_id = c.id and {})"
_PREFIX: Final = "^[A-Za-z][A-Za-z]-[^-]*-"
# By the index address_city; before the name may stand country and state, which then count too.
_CITY: Final = f"""(ext.fold(replace(a.city, ' ', '')) = ext.fold(replace(regexp_replace({{0}}, '{_PREFIX}', ''), ' ', ''))
           and ({{0}} !~ '{_PREFIX}' or lower(a.country || '-' || a.state || '-') = lower(substring({{0}} from '{_PREFIX}'))))"""

FIELDS: Final = (
    Field(
        name="customer_countries",
        kind="list",
        words="countries",
        sql="nullif(p.country, '')",
        # The profile's own country, too.
        within="""exists (select 1
              from (select a.customer_id as id, a.country from address a where a.workspace_id = $1
                     union all
                    select h.id, h.country from customer h where h.workspace_id = $1 and h.country is not null) as p
             where p.id = c.id and {})""",
        within_few="""exists (select 1
              from (select a.country from address a where a.workspace_id = $1 and a.customer_id = c.id
                     union all
                    select c.country) as p
             where {})""",
        equals="lower(p.country) = lower({0})",
        vocabulary="country",
        meant=countries.meant,
        aka=("country", "countries", "customer_country"),
        example="customer_countries CONTAINS 'US'",
    ),
    Field(
        name="customer_regions",
        kind="list",
        words="regions",
        sql="nullif(a.state, '')",
        within=_ADDRESS,
        equals="lower(a.country) = lower(split_part({0}, '-', 1)) and a.state <> ''"
        " and lower(a.state) = lower(substr({0}, strpos({0}, '-') + 1)) and strpos({0}, '-') > 0",
        vocabulary="region",
        aka=("state", "region", "province"),
        example="customer_regions CONTAINS 'US-CA'",
    ),
    Field(
        name="customer_cities",
        kind="list",
        words="cities",
        sql="nullif(a.city, '')",
        within=_ADDRESS,
        equals=_CITY,
        aka=("city", "cities"),
        example="customer_cities CONTAINS 'US-NY-NewYork'",
    ),
)
