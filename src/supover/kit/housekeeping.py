"""The house cleans up after itself, at night (UTC)."""

from typing import Final

from supover.kit.jobs import JobContext, periodic

BATCH: Final = 10_000
FORGET_JOBS: Final = "select jobs_forget(interval '7 days', $1)"
FORGET_ANSWERS: Final = "select idempotency_forget(interval '24 hours', $1)"
FORGET_COUNTS: Final = "select throttle_forget($1)"
EXPIRE_SESSIONS: Final = "select sessions_expire()"


async def _by_batches(ctx: JobContext, sql: str) -> None:
    gone, forgotten = BATCH, 0
    while gone >= BATCH and not ctx.cancelled():
        async with ctx.database.across() as con:
            gone = await con.fetchval(sql, BATCH)
        forgotten += gone
        ctx.progress({"forgotten": forgotten})


@periodic("17 3 * * *", "house.forget_jobs")
async def forget_jobs(ctx: JobContext) -> None:
    """Forgets jobs that were done or cancelled a week ago. Dead ones stay for people."""
    await _by_batches(ctx, FORGET_JOBS)


@periodic("47 * * * *", "house.forget_answers")
async def forget_answers(ctx: JobContext) -> None:
    """Forgets the answers that were kept for an Idempotency-Key, after a day."""
    await _by_batches(ctx, FORGET_ANSWERS)


@periodic("27 * * * *", "house.expire_sessions")
async def expire_sessions(ctx: JobContext) -> None:
    """Forgets sessions that have expired."""
    async with ctx.database.across() as con:
        await con.execute(EXPIRE_SESSIONS)


@periodic("7 * * * *", "house.forget_counts")
async def forget_counts(ctx: JobContext) -> None:
    """Forgets what was counted in periods that have ended."""
    await _by_batches(ctx, FORGET_COUNTS)
