"""A real shop's cohorts read in a browser, beside what its file says, counted one order after the other.

UCI Online Retail II (doi 10.24432/C5CG6D, Daqing Chen, CC BY 4.0) lies beside the repository; where it is not there, the
story is skipped. tests/web/test_insights_browsing.py tells one of a shop of its own.
"""

import csv
from collections import defaultdict
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from supover.kit.db import Database
from tests.makers import make_workspace, settle
from tests.stories.test_real_shops import DATA, UCI_OPTIONS, bring, rows
from tests.stories.test_real_shops import UCI as FILE
from tests.web.sites import make_person, visiting

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the shop's data is not in {DATA}")

Month = tuple[int, int]


class Counted:
    """Who came in which month and ordered in which, of all orders that were not cancelled."""

    def __init__(self, orders: list[dict[str, str]]) -> None:
        self.by_month: dict[Month, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        for order in orders:
            if order["is_cancel"] == "false":
                month = int(order["ordered_at"][:4]), int(order["ordered_at"][5:7])
                self.by_month[month][order["customer_id"]] += Decimal(order["total_gbp"])

    def cohort(self, month: Month) -> set[str]:
        """Who ordered for the first time then."""
        before = {who for earlier, buyers in self.by_month.items() if earlier < month for who in buyers}
        return self.by_month[month].keys() - before

    def share(self, cohort: Month, month: Month) -> str:
        """How many of them ordered in a month, as the page tells it."""
        came = self.cohort(cohort)
        share = Decimal(len(came & self.by_month[month].keys())) / len(came)
        return f"{share:.1%}" if share < Decimal("0.0995") else f"{share:.0%}"

    def spent(self, cohort: Month, until: Month) -> str:
        """What each of them had spent until the end of a month, on average."""
        came = self.cohort(cohort)
        months = (buyers for month, buyers in self.by_month.items() if month <= until)
        spent = sum((total for buyers in months for who, total in buyers.items() if who in came), Decimal(0))
        return f"{spent / len(came):,.0f}"


# The first months of the file, or both years of it.
@pytest.mark.timeout(300)
@pytest.mark.parametrize("orders", [4_000, pytest.param(44_876, marks=pytest.mark.soak)])
async def test_a_gift_shops_cohorts_are_read_by_keyboard_as_they_are_counted(
    browser: Browser, site: str, db: Database, tmp_path: Path, orders: int
) -> None:
    taken = list(islice(rows(FILE), orders))
    file = tmp_path / "orders.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(taken[0]))
        writer.writeheader()
        writer.writerows(taken)
    shop = await make_workspace(db, "GBP", "Europe/London")
    assert (await bring(db, shop, file, UCI_OPTIONS)).created == orders
    await settle(db, shop)
    counted = Counted(taken)
    december, january, february = (2009, 12), (2010, 1), (2010, 2)
    async with visiting(browser, site, await make_person(db, shop)) as visit:
        page, keys = visit.page, visit.page.keyboard
        await visit.go("/insights/cohorts?period=custom&from=2009-12-01&to=2010-02-28")
        grid, told = page.get_by_role("grid"), page.locator("[data-grid-told]")
        sizes = await grid.locator("tbody tr:not(.average) td.size").all_inner_texts()
        assert sizes == [f"{len(counted.cohort(month)):,}" for month in (december, january, february)]
        await grid.locator("td[tabindex='0']").focus()
        for key, said in (
            ("ArrowDown", "Dec 2009, month 0: 100%"),
            ("ArrowRight", f"Dec 2009, month 1: {counted.share(december, january)}"),
            ("ArrowRight", f"Dec 2009, month 2: {counted.share(december, february)}"),
            ("ArrowLeft", f"Dec 2009, month 1: {counted.share(december, january)}"),
            ("ArrowDown", f"Jan 2010, month 1: {counted.share(january, february)}"),
        ):
            await keys.press(key)
            await expect(told).to_have_text(said)
        await (
            page.get_by_label("What is shown", exact=True).get_by_label("What is shown").select_option("cumulativeLtv")
        )
        await page.wait_for_url("**metric=cumulativeLtv**")
        await grid.locator("td[tabindex='0']").focus()
        for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
            await keys.press(key)
        await expect(told).to_have_text(f"Dec 2009, month 2: {counted.spent(december, february)}")
