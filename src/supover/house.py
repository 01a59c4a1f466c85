"""supover events: the house explains itself."""

from typing import Annotated, Final

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

events: Final = typer.Typer(add_completion=False)


@events.command("events")
def list_events(json: JsonOption = False) -> None:
    """List who publishes what, and who reacts to it in the same transaction."""
    from supover import terminal, wiring
    from supover.kit import events

    wiring.load()
    wiring.routes()  # a room may publish what nobody reacts to
    reactions = events.reactions()
    found: list[dict[str, object]] = [
        {
            "event": kind.kind(),
            "room": kind.__module__.split(".")[1],
            "meaning": (kind.__doc__ or "").splitlines()[0],
            "reactions": [
                f"{one.__module__.removeprefix('supover.')}.{one.__name__}"  # pyright: ignore[reportFunctionMemberAccess]
                for one in reactions.get(kind, ())
            ],
        }
        for kind in events.kinds()
    ]
    terminal.show(found, json=json)
