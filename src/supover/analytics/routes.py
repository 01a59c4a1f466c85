"""The web addresses of what customers are worth."""

from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from supover.analytics import customer, ltv, rfm
from supover.analytics.model import Basis, CustomerAnalytics, LtvReport, LtvRow, RfmGroup, RfmReport
from supover.kit import reports
from supover.kit.api import Raw, Routes
from supover.kit.db import Reader
from supover.kit.reports import AnyRequest, Format

routes = Routes("analytics")


@routes.get("/api/customers/{id:uuid}/analytics", name="of_customer")
async def of_customer(db: Reader, id: UUID) -> CustomerAnalytics:
    """Read what a customer is worth.

    Value, frequency, RFM scores and what is to be expected; of orders that count unless it says delivered. There is no ETag: what
    is counted changes by itself, and `asOf` says how far.
    """
    return await customer.find(db, id)


@routes.get("/api/analytics/rfm", search=True, name="rfm")
async def rfm_report(db: Reader, request: AnyRequest, format: Format = None) -> RfmReport | Raw:
    """Read the customers' groups by recency, frequency and monetary value.

    A score is the fifth of the living customers with an order that counts in which a customer is, equal ones together:
    recency by the last order, frequency by how many there are, monetary by what was spent, 5 being the best. CSV has the groups.
    """
    reports.known(request)
    found = await rfm.report(db)
    return reports.table("rfm", RfmGroup, found.groups) if reports.wants_csv(request, format) else found


@routes.get("/api/analytics/ltv", search=True, name="ltv")
async def ltv_report(
    db: Reader,
    request: AnyRequest,
    basis: Annotated[
        Basis,
        QueryParameter(
            name="basis",
            required=False,
            description="`delivered` orders, as `lifetimeValue` has them, unless told; `counting`, as `totalSpent` has them.",
        ),
    ] = "delivered",
    format: Format = None,
) -> LtvReport | Raw:
    """Read what customers are worth.

    How lifetime value is spread over them, and how much those are worth who came in a month, by a channel, from a country. CSV has a
    line for all, each month, each channel and each country.
    """
    reports.known(request, "basis")
    found = await ltv.report(db, basis)
    return reports.table(f"ltv-{basis}", LtvRow, ltv.rows(found)) if reports.wants_csv(request, format) else found
