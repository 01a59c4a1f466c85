"""The facts that this room publishes."""

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from supover.analytics.prediction_model import Risk
from supover.kit.events import Event


class CustomersRecounted(Event, frozen=True):
    """Customers' figures were counted again; `from_history` are those for whom only history was the reason."""

    live: Sequence[UUID]
    from_history: Sequence[UUID]
    logged: ClassVar[bool] = False


class CustomersScored(Event, frozen=True):
    """Customers were scored, for the first time or otherwise than before; None where it is most of them."""

    customer_ids: Sequence[UUID] | None
    logged: ClassVar[bool] = False


class RfmGroupChanged(Event, frozen=True):
    """A customer is in another RFM group than before: PROSPECTS when no order counts any more."""

    former: str
    group: str


class ChurnRiskChanged(Event, frozen=True):
    """A customer is more, or less, likely than before not to order again: of another band of risk by the night's model."""

    former: Risk
    risk: Risk
    horizon_days: int


class PredictionsRenewed(Event, frozen=True):
    """Everybody was scored anew."""

    logged: ClassVar[bool] = False
