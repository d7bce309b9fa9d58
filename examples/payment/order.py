"""An order that waits for its payment. While it waits, it has no pod and costs nothing."""

from pydantic import BaseModel, Field

from podrelay import Answer, Controller, TaskDefinition


class Order(BaseModel):
    """The order, then what is known about its payment."""

    total: float = Field(gt=0)
    days_to_pay: float = Field(default=14, gt=0)
    paid: float = 0


class Payment(BaseModel):
    """The payload of the signal `payment`."""

    amount: float = Field(gt=0)
    reference: str


class ShipOrder(TaskDefinition):
    """Reserves the goods, waits for the whole amount, and ships them."""

    id = "shipOrder"
    title = "Ship an order when it is paid"
    max_iterations = 20
    signals = [  # noqa: RUF012 - never changed
        {"name": "payment", "description": "Sent by the payment provider, once for each payment.", "payload": Payment}
    ]

    def run(self, input: Order, controller: Controller) -> Answer:
        """Wait for payments until the order is paid, or its time is over."""
        if controller.signals.timed_out:
            controller.logger.info("released the goods")
            return controller.response.done(f"not paid within {input.days_to_pay:g} days", {"shipped": False})
        input.paid += sum(payment.payload["amount"] for payment in controller.signals.of("payment"))
        if input.paid >= input.total:
            controller.logger.info("shipped the goods")
            return controller.response.done("paid and shipped", {"shipped": True, "paid": input.paid})
        return controller.response.wait_for_signal("payment", input, seconds=input.days_to_pay * 86_400)
