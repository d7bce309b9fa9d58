"""`podrelay schedule`: create, show, preview and control schedules. `preview` with a rule needs no cluster."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import typer
from rich.text import Text

from podrelay.cli import commands
from podrelay.cli.tasks import parsing, printing
from podrelay.cli.tasks.connecting import Context, Kubeconfig, Namespace, connected
from podrelay.cli.tasks.printing import Column
from podrelay.cli.tasks.trigger import Input, Overrides
from podrelay.client import arguments
from podrelay.client.schedules import Schedule, next_times
from podrelay.client.service import TaskService
from podrelay.schedules.timetable import in_text

GROUP: Final = "schedule"
Name = Annotated[str, typer.Argument(metavar="NAME", parser=parsing.run_id, help="Name of the schedule.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME...", parser=parsing.run_id, help="Names of schedules.")]
Output = Annotated[printing.Format, typer.Option("--output", "-o", help="How to print it.")]
Overlap = Literal["Skip", "BufferOne", "BufferAll", "AbortOther", "Allow"]
TimesOutput = Annotated[Literal["table", "json"], typer.Option("--output", "-o", help="How to print the times.")]


def application(program: str) -> typer.Typer:
    """Return the group of commands.

    Args:
        program: the program's name, as the user calls it, for the examples.
    """
    group = typer.Typer(
        help="Create, show, preview and control schedules.",
        epilog=f"\b\nExample:\n  {commands.CLUSTER[GROUP].example.replace('podrelay', program, 1)}",
        no_args_is_help=True,
        rich_markup_mode=None,
        add_completion=False,
    )
    for name, function, example in _COMMANDS:
        command = function if function is preview else connected(function)
        epilog = f"\b\nExample:\n  {program} {GROUP} {example}"
        group.command(name, help=function.__doc__, epilog=epilog)(command)
    return group


def list_schedules(
    service: TaskService,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of the whole cluster.")] = False,
    output: Output = "table",
) -> None:
    """List schedules, with their last and their next time."""
    found = service.schedules.list(all_namespaces=all_namespaces)
    printing.print_many(found, COLUMNS, output, namespaces=all_namespaces)


def show(service: TaskService, name: Name, output: Output = "table") -> None:
    """Show one schedule: what it does, its next times, its active runs, and what was skipped or missed."""
    schedule = service.schedules.get(name)
    if output != "table":
        printing.print_one(schedule, COLUMNS, output)
        return
    for title, text in _facts(schedule):
        print(f"{title + ':':<14}{text}")


def preview(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name of a schedule in the cluster.")] = None,
    cron: Annotated[
        list[str] | None, typer.Option(metavar="EXPR", help="A cron expression, without a cluster; repeatable.")
    ] = None,
    every: Annotated[
        list[str] | None, typer.Option(metavar="DURATION", help="An interval, such as 15m; repeatable.")
    ] = None,
    offset: Annotated[str | None, typer.Option(metavar="DURATION", help="Moves the times of --every.")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="EXPR", help="A cron expression of times to leave out; repeatable.")
    ] = None,
    time_zone: Annotated[str, typer.Option(metavar="ZONE", help="Time zone of the cron expressions.")] = "UTC",
    daylight_saving: Annotated[
        Literal["Once", "Literal"], typer.Option(help="What happens when clocks change.")
    ] = "Once",
    start: Annotated[
        datetime | None,
        typer.Option("--from", parser=parsing.moment, metavar="TIME", help="The earliest time; default: now."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many times.")] = 5,
    output: TimesOutput = "table",
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show the next times of a schedule, or, without a cluster, those of the given rules."""
    if (name is None) == (not cron and not every):
        raise typer.BadParameter("give either the name of a schedule, or --cron or --every")
    if name is not None:
        with TaskService(namespace, context=context, kubeconfig=kubeconfig) as service:
            spec: Any = service.schedules.get(parsing.run_id(name)).resource["spec"]
    else:
        spec = {
            "schedules": [*({"cron": text} for text in cron or ()), *_intervals(every or (), offset)],
            "exclude": [{"cron": text} for text in exclude or ()],
            "timeZone": time_zone,
            "daylightSaving": daylight_saving,
        }
    times = [in_text(time) for time in next_times(spec, count, start)]
    if output == "json":
        printing.print_json(times)
    else:
        print("\n".join(times))


def create(
    service: TaskService,
    name: Name,
    definition: Annotated[
        str, typer.Option("--definition", "-d", metavar="NAME", help="Id or name of the definition of its runs.")
    ],
    cron: Annotated[list[str] | None, typer.Option(metavar="EXPR", help="A cron expression; repeatable.")] = None,
    every: Annotated[
        list[str] | None, typer.Option(metavar="DURATION", help="An interval, such as 15m; repeatable.")
    ] = None,
    offset: Annotated[str | None, typer.Option(metavar="DURATION", help="Moves the times of --every.")] = None,
    time_zone: Annotated[str, typer.Option(metavar="ZONE", help="Time zone of the cron expressions.")] = "UTC",
    overlap: Annotated[Overlap, typer.Option(help="What happens while a run is unfinished.")] = "Skip",
    input: Input = None,
    secret: Annotated[str | None, typer.Option(metavar="NAME", help="Secret that its pods get.")] = None,
    overrides: Overrides = None,
    suspend: Annotated[bool, typer.Option("--suspend", help="Start no runs until it is resumed.")] = False,
) -> None:
    """Create a schedule. kubectl apply can set what has no flag here, and change it."""
    if not cron and not every:
        raise typer.BadParameter("give --cron or --every")
    run = {
        "definition": arguments.definition_name(definition),
        "input": input,
        "secret": secret,
        "overrides": overrides or None,
    }
    spec = {
        "schedules": [*({"cron": text} for text in cron or ()), *_intervals(every or (), offset)],
        "timeZone": time_zone,
        "overlap": overlap,
        "suspend": suspend,
        "run": {field: value for field, value in run.items() if value is not None},
    }
    service.schedules.create(name, spec)
    print(f"taskschedule.podrelay.dev/{name} created")


def trigger(
    service: TaskService,
    name: Name,
    input: Input = None,
    key: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Repeating the command with the same key returns the same run.")
    ] = None,
    output: Output = "table",
) -> None:
    """Start a run of a schedule now. Later times count it as unfinished."""
    run = service.schedules.trigger(name, input=input, idempotency_key=key)
    if output == "table":
        print(f"taskrun.podrelay.dev/{run.id} created")
    else:
        printing.print_one(run, printing.RUN_COLUMNS, output)


def backfill(
    service: TaskService,
    name: Name,
    start: Annotated[
        datetime, typer.Option("--from", parser=parsing.moment, metavar="TIME", help="The first time, inclusive.")
    ],
    until: Annotated[
        datetime | None,
        typer.Option(parser=parsing.moment, metavar="TIME", help="The end, exclusive; default: now."),
    ] = None,
    overlap: Annotated[
        Literal["OneByOne", "Allow"], typer.Option(help="Whether a run waits for the one before it.")
    ] = "OneByOne",
    per_minute: Annotated[int, typer.Option(min=1, max=600, help="Starts at most so many runs a minute.")] = 60,
    backfill_name: Annotated[str | None, typer.Option("--name", metavar="TEXT", help="Default: the range.")] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the backfill of this range or name.")] = False,
) -> None:
    """Start the runs of past times at a limited rate. A time that has a run is skipped, so it can be repeated."""
    end = until or datetime.now(UTC).replace(second=0, microsecond=0)
    own = backfill_name or f"{start.astimezone(UTC):%Y%m%dt%H%M%Sz}-{end.astimezone(UTC):%Y%m%dt%H%M%Sz}"
    if stop:
        service.schedules.stop_backfill(name, own)
        print(f"taskschedule.podrelay.dev/{name} no longer has the backfill {own}")
        return
    service.schedules.backfill(
        name, start, end, overlap=overlap, starts_per_minute=per_minute, backfill_name=backfill_name
    )
    print(f"taskschedule.podrelay.dev/{name} has the backfill {own}; podrelay {GROUP} show {name} shows its progress")


def pause(
    service: TaskService,
    names: Names,
    note: Annotated[str | None, typer.Option("--note", "-m", metavar="TEXT", help="Why.")] = None,
) -> None:
    """Suspend schedules: no run starts, and times that come are skipped."""
    for name in names:
        service.schedules.pause(name, note)
        print(f"taskschedule.podrelay.dev/{name} suspended")


def resume(service: TaskService, names: Names) -> None:
    """Continue suspended schedules, from the next time on."""
    for name in names:
        service.schedules.resume(name)
        print(f"taskschedule.podrelay.dev/{name} resumed")


def _intervals(every: list[str] | tuple[()], offset: str | None) -> list[dict[str, str]]:
    return [{"every": text} | ({"offset": offset} if offset else {}) for text in every]


def _state(schedule: Schedule) -> Text:
    if schedule.is_suspended:
        return Text("Suspended", "yellow")
    return Text(schedule.reason or "NotSeen", "red" if schedule.is_ready is False else "")


def _note(schedule: Schedule) -> str:
    if schedule.is_suspended and schedule.suspend_note:
        return schedule.suspend_note
    return " ".join(schedule.message.split())


COLUMNS: Final[tuple[Column[Schedule], ...]] = (
    Column("NAME", lambda schedule: schedule.name),
    Column("DEFINITION", lambda schedule: schedule.definition),
    Column("SCHEDULE", lambda schedule: ", ".join(schedule.rules)),
    Column("TIME ZONE", lambda schedule: schedule.time_zone),
    Column("STATE", _state),
    Column("LAST", lambda schedule: in_text(schedule.last_time) if schedule.last_time else ""),
    Column("NEXT", lambda schedule: in_text(schedule.next_times[0]) if schedule.next_times else ""),
    Column("ACTIVE", lambda schedule: str(len(schedule.active_runs))),
    Column("OVERLAP", lambda schedule: schedule.overlap, wide=True),
    Column("STARTED", lambda schedule: str(schedule.started), wide=True),
    Column("SKIPPED", lambda schedule: str(sum(schedule.skipped.values())), wide=True),
    Column("MISSED", lambda schedule: str(schedule.missed), wide=True),
    Column("MESSAGE", _note, wide=True),
)


def _facts(schedule: Schedule) -> list[tuple[str, str]]:
    """Return titles and texts, as `show` prints them."""
    status = schedule.resource.get("status") or {}
    last = status.get("lastRun") or {}
    by = f" by {schedule.suspended_by}" if schedule.suspended_by else ""
    state = f"suspended{by}" if schedule.is_suspended else schedule.reason or "not seen by an operator yet"
    facts = [
        ("Name", schedule.name),
        ("Definition", schedule.definition),
        ("Schedule", f"{', '.join(schedule.rules)} ({schedule.time_zone})"),
        ("Overlap", schedule.overlap),
        ("State", state),
        ("Message", _note(schedule)),
        (
            "Last run",
            f"{last['name']} {last.get('phase', '')}" if last else "",
        ),
        ("Next", "\n              ".join(map(in_text, schedule.next_times))),
        ("Active", ", ".join(schedule.active_runs)),
        ("Buffered", ", ".join(map(in_text, schedule.buffered))),
        ("Started", str(schedule.started)),
        ("Missed", str(schedule.missed)),
        ("Skipped", ", ".join(f"{reason} {number}" for reason, number in schedule.skipped.items())),
    ]
    for item in status.get("backfills") or ():
        end = "finished" if item.get("finishedAt") else f"until {item.get('processedUntil', 'its begin')}"
        counts = f"{item.get('started', 0)} started, {item.get('existing', 0)} existed"
        facts.append(("Backfill", f"{item['name']}: {counts}, {end}"))
    return [(title, text.strip()) for title, text in facts if text.strip()]


_COMMANDS: Final[tuple[tuple[str, Callable[..., Any], str], ...]] = (
    ("list", list_schedules, "list --all-namespaces"),
    ("show", show, "show nightly"),
    ("preview", preview, 'preview --cron "30 2 * * *" --time-zone Europe/Vienna --count 3 -o json'),
    ("create", create, 'create nightly --definition nightlyTotals --cron "30 2 * * *" --time-zone Europe/Vienna'),
    ("trigger", trigger, "trigger nightly"),
    ("backfill", backfill, "backfill nightly --from 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z"),
    ("pause", pause, "pause nightly --note 'the warehouse moves'"),
    ("resume", resume, "resume nightly"),
)
