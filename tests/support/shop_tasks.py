"""Tasks of a shop, for the dashboard's tests and pictures: what they do is short, what they show is as in real life."""

import os
import time
from typing import Literal

from pydantic import BaseModel, Field

from podrelay import Answer, Controller, Retry, TaskDefinition


class ImportInput(BaseModel):
    """What to import, then the place in the file."""

    url: str = Field(description="Address of the file with the products.", examples=["https://example.org/spring.csv"])
    mode: Literal["merge", "replace"] = Field(default="merge", description="What happens to products that exist.")
    rows: int = Field(default=1200, ge=1, le=100_000, description="How many rows the file has.")
    batch: int = Field(default=300, ge=1, description="How many rows each pod imports.")
    seconds_per_batch: float = Field(default=1.0, ge=0, description="How long that takes.")
    notify: bool = Field(default=False, description="Send a mail at the end.")
    note: str = Field(default="", description="A note for the log.", json_schema_extra={"format": "multiline"})
    tags: list[str] = Field(default=[], description="Labels of the imported products.")
    row: int = Field(default=0, ge=0, description="The first row that is not imported yet.")
    skipped: list[str] = Field(default=[], description="Rows that could not be imported.")


class ImportProducts(TaskDefinition):
    """Imports products from a file, some rows in each pod."""

    id = "importProducts"
    title = "Import products"
    description = "Imports products from a CSV file, in batches. Rows that are not valid are skipped and listed."
    max_iterations = 50
    abort_grace_period_seconds = 10

    def run(self, input: ImportInput, controller: Controller) -> Answer:
        """Import one batch."""
        last = min(input.row + input.batch, input.rows)
        controller.logger.info(f"importing rows {input.row + 1} to {last} of {input.url}", data={"mode": input.mode})
        print(f"GET {input.url} \033[32m200\033[0m", flush=True)
        ends_at = time.monotonic() + input.seconds_per_batch
        first = input.row
        while input.row < last:
            part = 1 - max(0.0, ends_at - time.monotonic()) / input.seconds_per_batch if input.seconds_per_batch else 1
            input.row = max(input.row, first + int((last - first) * part))
            controller.progress(input.row, input.rows, "rows")
            if controller.runtime.is_aborted():
                return controller.response.aborted(f"stopped after {input.row} rows")
            time.sleep(0.05)
        if input.row % 900 == 0:
            input.skipped.append(f"row {input.row}: no price")
            controller.logger.error(f"row {input.row} is skipped", data={"row": input.row, "sku": f"SKU-{input.row}"})
        if input.row < input.rows:
            return controller.response.continue_(input)
        return controller.response.done(
            f"{input.rows} rows imported", {"imported": input.rows - len(input.skipped), "skipped": input.skipped}
        )


class FeedInput(BaseModel):
    """Where the feed goes."""

    channel: Literal["search", "marketplace", "newsletter"] = Field(description="Who gets the feed.")
    fail: Literal["never", "once", "always", "memory", "exit"] = Field(default="never", description="How it fails.")


class PublishFeed(TaskDefinition):
    """Publishes the product feed."""

    id = "publishFeed"
    title = "Publish the feed"
    description = "Writes the products of the shop as a feed for a search engine or a marketplace."

    def run(self, input: FeedInput, controller: Controller) -> Answer:
        """Publish, or fail in the wanted way."""
        controller.logger.info(f"publishing for {input.channel}")
        print(f"opening a connection to {input.channel}.example", flush=True)
        time.sleep(0.4)
        match input.fail:
            case "always":
                raise ConnectionError(f"{input.channel}.example refused the connection")
            case "once" if controller.task.attempt == 1:
                raise Retry("the marketplace is busy", after=2)
            case "exit":
                print("fatal: the feed has no products", flush=True)
                os._exit(3)
            case _:
                pass
        controller.logger.info("published", data={"items": 1184})
        return controller.response.done("published", {"items": 1184})


class TotalsInput(BaseModel):
    """Which shops to add up."""

    shops: list[str] = Field(default=["graz", "linz", "wien"], description="Shops whose totals are added up.")
    failing: str = Field(default="", description="The shop whose totals cannot be read.")
    seconds: float = Field(default=0.5, description="How long each shop takes.")


class NightlyTotals(TaskDefinition):
    """Adds up the sales of all shops, each in a child."""

    id = "nightlyTotals"
    title = "Nightly totals"
    description = "Starts a child for each shop, waits for all of them, and adds up their sales."
    triggers = ["shop-totals"]  # noqa: RUF012 - as users write it

    def run(self, input: TotalsInput, controller: Controller) -> Answer:
        """Start the children, then read their results."""
        if controller.task.iteration == 1:
            for shop in input.shops:
                values = {"shop": shop, "fails": shop == input.failing, "seconds": input.seconds}
                controller.task.trigger(ShopTotals, values, key=shop, name=f"Totals of {shop}")
            return controller.response.wait_for_children()
        children = controller.task.list_children(ShopTotals)
        failed = [child for child in children if child.status != "success"]
        if failed:
            return controller.response.error({"message": f"{len(failed)} shop could not be added up"})
        return controller.response.done("all shops", {"shops": len(children)})


class ShopInput(BaseModel):
    """A shop."""

    shop: str
    fails: bool = False
    seconds: float = 0.5


class ShopTotals(TaskDefinition):
    """Adds up the sales of one shop."""

    id = "shopTotals"
    title = "Totals of a shop"

    def run(self, input: ShopInput, controller: Controller) -> Answer:
        """Add up."""
        controller.logger.info(f"adding up {input.shop}")
        time.sleep(input.seconds)
        if input.fails:
            raise RuntimeError(f"the database of {input.shop} does not answer")
        return controller.response.done({"total": 4711})


class Reminders(TaskDefinition):
    """Sends reminders, with a pause between them."""

    id = "sendReminders"
    title = "Send reminders"
    description = "Sends a reminder, waits, and sends the next one."

    def run(self, input: dict[str, int], controller: Controller) -> Answer:
        """Send one reminder."""
        sent = input.get("sent", 0) + 1
        controller.logger.info(f"reminder {sent} is sent")
        if sent >= input.get("count", 3):
            return controller.response.done({"sent": sent})
        return controller.response.continue_({**input, "sent": sent}, seconds=input.get("pause", 3600))


class ResizeImages(TaskDefinition):
    """Resizes images, one run at a time."""

    id = "resizeImages"
    title = "Resize images"
    description = "Makes small copies of the images of products. Only two runs at a time, because it needs much memory."
    max_concurrent_runs = 2

    def run(self, input: dict[str, float], controller: Controller) -> Answer:
        """Work until the time is over or the run is aborted."""
        seconds = input.get("seconds", 30)
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            controller.progress(round(seconds - (ends_at - time.monotonic())), seconds, "images")
            if controller.runtime.is_aborted():
                print("removing the unfinished images", flush=True)
                return controller.response.aborted()
            time.sleep(0.1)
        return controller.response.done({"images": 340})


class Payment(BaseModel):
    """What has been paid."""

    amount: float = Field(gt=0, description="In euros.")
    method: Literal["card", "transfer", "cash"] = Field(default="card", description="How it was paid.")
    reference: str = Field(default="", description="Number of the payment at the bank.", examples=["2026-4711"])


class OrderInput(BaseModel):
    """An order, and what has been paid for it."""

    total: float = 40
    paid: float = 0
    seconds: float = Field(default=14 * 86_400, description="How long the payment may take.")


class ShipOrder(TaskDefinition):
    """Ships an order when it is paid."""

    id = "shipOrder"
    title = "Ship an order"
    description = "Waits for the payment of an order, then ships it."
    signals = [  # noqa: RUF012 - as users write it
        {"name": "payment", "description": "Sent when money has arrived.", "payload": Payment}
    ]

    def run(self, input: OrderInput, controller: Controller) -> Answer:
        """Add up what has come, and wait for the rest."""
        if controller.signals.timed_out:
            return controller.response.done("not paid in time", {"shipped": False})
        input.paid += sum(payment.payload["amount"] for payment in controller.signals)
        if input.paid >= input.total:
            return controller.response.done("shipped", {"shipped": True, "paid": input.paid})
        return controller.response.wait_for_signal("payment", input, seconds=input.seconds)


class ReleaseInput(BaseModel):
    """What is released, and who is asked."""

    question: Literal["release", "freeze"] = "release"
    seconds: float = Field(default=3 * 86_400, description="How long the decision may take.")


class ReleasePrices(TaskDefinition):
    """Publishes new prices when they are approved."""

    id = "releasePrices"
    title = "Release new prices"
    description = "New prices go into the shop when two users have approved them."
    signals = [  # noqa: RUF012 - as users write it
        {
            "name": "release",
            "description": "Whether the new prices may go into the shop.",
            "approval": {"required": 2},
        },
        {"name": "freeze", "description": "Whether the old prices stay.", "approval": {"groups": ["ops"]}},
    ]

    def run(self, input: ReleaseInput, controller: Controller) -> Answer:
        """Ask, then do what was decided."""
        if controller.task.iteration == 1:
            return controller.response.wait_for_signal(input.question, input, seconds=input.seconds)
        if controller.signals.approved:
            return controller.response.done("the new prices are in the shop")
        comments = [str(signal.payload.get("comment", "")) for signal in controller.signals]
        words = "not decided in time" if controller.signals.timed_out else f"rejected: {' '.join(comments)}"
        return controller.response.aborted(words)
