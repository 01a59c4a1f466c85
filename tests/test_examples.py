"""The examples of the OpenAPI document are true."""

import httpx
import msgspec
import pytest

from supover import wiring
from supover.examples import EXAMPLES
from supover.kit.db import Database
from tests.makers import client, make_workspace, told


def structs() -> dict[str, type[msgspec.Struct]]:
    """Every struct of the house by its name."""
    wiring.handlers()

    def below(kind: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
        return [kind, *(deeper for sub in kind.__subclasses__() for deeper in below(sub))]

    return {kind.__name__: kind for kind in below(msgspec.Struct) if kind.__module__.startswith("supover.")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_read_into_its_struct_and_back(name: str) -> None:
    found = msgspec.json.decode(msgspec.json.encode(EXAMPLES[name]), type=structs()[name])
    assert EXAMPLES[name].items() <= msgspec.json.decode(msgspec.json.encode(found)).items()


async def test_the_example_customer_and_order_are_taken_as_they_stand(db: Database) -> None:
    shop = await make_workspace(db)
    async with client(db, shop.key) as api:
        await live(api)


async def live(api: httpx.AsyncClient) -> None:
    """A customer's and an order's life, all by the examples."""
    customer = told(await api.post("/api/customers", json=EXAMPLES["NewCustomer"]), 201)
    address = EXAMPLES["NewAddress"]
    told(await api.post(f"/api/customers/{customer['id']}/addresses", json=address), 201)
    told(await api.post(f"/api/customers/{customer['id']}/notes", json=EXAMPLES["NewNote"]), 201)
    order = told(await api.post("/api/orders", json=EXAMPLES["NewOrder"]), 201)
    assert order["customerId"] == customer["id"]
    assert set(EXAMPLES["Order"]) == set(order)
    assert set(EXAMPLES["Customer"]) == set(customer)
    told(await api.patch(f"/api/orders/{order['id']}", json=EXAMPLES["OrderChange"]))
    told(await api.post(f"/api/orders/{order['id']}/deliver", json=EXAMPLES["Delivery"]))
    told(await api.post(f"/api/orders/{order['id']}/refund", json=EXAMPLES["NewRefund"]))
    told(await api.put("/api/rates", json=EXAMPLES["RateTable"]))
    told(await api.patch(f"/api/customers/{customer['id']}", json=EXAMPLES["CustomerChange"]))
