"""Orders' work for later."""

from supover.kit.jobs import JobContext, job
from supover.orders import rates


@job("orders.apply_rates")
async def apply_rates(ctx: JobContext) -> None:
    """Gives orders the rates they lacked, a batch a transaction."""
    while True:
        async with ctx.tx() as tx:
            if await rates.apply(tx) < rates.BATCH:
                return
