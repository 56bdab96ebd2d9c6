"""Hands finished messages over, each once, as fast as the way out allows.

    planned | deferred → sending → handing_over → sent
                            │            └ answer lost → uncertain → it is there: sent
                            │                                      → it is not: planned again, or held
                            └ refused → deferred, to come again | failed

What a failure means stands in `_judged`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial

from digest.core import mailbox
from digest.core.backoff import wait
from digest.core.model import Channel, Delivery, DeliveryState
from digest.errors import (
    ConfigError,
    CredentialError,
    DeliveryError,
    DigestError,
    LimitReachedError,
    RefusedByServerError,
    RenderError,
    StoreError,
    TransientDeliveryError,
    UncertainDeliveryError,
    UnreachableError,
)
from digest.ports import Deliverer, Mailbox, Store
from digest.redaction import redacted

_UNTIL_IT_IS_THERE = timedelta(minutes=5)
"""How long a message may take from a mail server to the mailbox behind it."""

MOST_COPIES = 3
"""How often a message goes out whose answer is lost each time; then somebody has to decide."""

OPEN = (
    DeliveryState.FAILED,
    DeliveryState.UNCERTAIN,
    DeliveryState.PLANNED,
    DeliveryState.DEFERRED,
    DeliveryState.SENDING,
    DeliveryState.HANDING_OVER,
)
"""The states of deliveries that are not done with."""

_TRIES = 3

_UNTIL_THERE_IS_A_WAY = timedelta(minutes=5)
"""How long to wait for a network; each message waits so, and only one of them is tried at a time."""

_UNTIL_MORE_IS_TAKEN = timedelta(hours=1)
_UNTIL_IT_IS_MENDED = timedelta(hours=1)

OF_THE_SERVER = (RefusedByServerError, CredentialError, ConfigError)
"""What has nothing to do with the message that happened to meet it, and needs somebody."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """How one delivery went."""

    delivery: Delivery
    state: DeliveryState
    error: DigestError | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How many messages a way out takes; `pause` waits for so many seconds, and gives whether to stop."""

    per_minute: int | None = None
    per_run: int | None = None
    per_day: int | None = None
    pause: Callable[[float], bool] = lambda _seconds: False

    def room(self, store: Store, channel: Channel, now: datetime) -> float:
        """How many messages may go now."""
        room = [float("inf")] if self.per_run is None else [float(self.per_run)]
        if self.per_day is not None:
            room.append(self.per_day - store.sent_between(channel, now - timedelta(days=1), now))
        return min(room)


@dataclass(frozen=True, slots=True)
class WayOut:
    """How the messages of a channel leave."""

    deliverer: Callable[[], Deliverer]  # made when it is first needed
    pace: Pace = Pace()
    mailbox: Callable[[], Mailbox] | None = None  # where they can be looked for
    resends: bool = True  # what may have arrived or not


def send(store: Store, channel: Channel, way: WayOut, clock: Callable[[], datetime]) -> Iterator[Dispatched]:
    """Hand over what is due by one channel; between two of them it may be left."""
    yield from _resolve(store, channel, way, clock())
    room = way.pace.room(store, channel, clock())
    last, is_first = 0, True
    with ExitStack() as stack:

        @cache
        def deliverer() -> Deliverer:
            made = way.deliverer()
            stack.callback(made.close)
            return made

        while room > 0 and (delivery := store.claim((channel,), clock(), after=last)) is not None:
            last = delivery.id
            # Looked up for each, as a reader may say so while others are served.
            if channel == "email" and _is_stopped(delivery, store.stopped(delivery.profile)):
                store.mark(delivery.id, DeliveryState.STOPPED)
                yield Dispatched(delivery, DeliveryState.STOPPED)
                continue
            if way.pace.per_minute is not None and not is_first and way.pace.pause(60 / way.pace.per_minute):
                store.mark(delivery.id, DeliveryState.PLANNED, counts=False)
                return
            is_first = False
            done = settle(store, delivery, clock, partial(_hand_over, store, delivery, deliverer))
            room -= 1
            yield done
            if channel == "email" and isinstance(done.error, (*OF_THE_SERVER, UnreachableError)):
                return  # every other mail would fare the same


def _is_stopped(delivery: Delivery, stopped: Container[str]) -> bool:
    return mailbox.key(delivery.recipient) in stopped


class _TakenOverError(DeliveryError):
    """Another run has taken the delivery over: this one was believed dead."""


def _hand_over(store: Store, delivery: Delivery, deliverer: Callable[[], Deliverer]) -> None:
    def handing_over() -> None:
        if not store.hand_over(delivery):
            raise _TakenOverError("another run has taken it over")

    deliverer().deliver(delivery.message or b"", delivery.recipient, handing_over=handing_over)


def _resolve(store: Store, channel: Channel, way: WayOut, now: datetime) -> Iterator[Dispatched]:
    """Decide what becomes of messages that may have arrived."""
    uncertain = [one for one in store.deliveries(DeliveryState.UNCERTAIN) if one.channel == channel]
    with ExitStack() as stack:
        box: Mailbox | None = None
        for delivery in uncertain:
            # A server may lose its answers again and again.
            may_be_soon = way.mailbox is None and delivery.lost == 1
            if delivery.not_before is not None and delivery.not_before > now and not may_be_soon:
                continue
            if way.mailbox is not None:
                from digest.core.message import message_id  # what reads mails takes 5 ms to load

                try:
                    if box is None:
                        box = way.mailbox()
                        stack.callback(box.close)
                    is_there = box.holds(message_id(delivery.message or b""))
                except DigestError as error:
                    yield Dispatched(delivery, DeliveryState.UNCERTAIN, error)
                    return  # nobody can look: whoever wishes may resolve it by hand
                if is_there:
                    store.mark(delivery.id, DeliveryState.SENT, sent_at=now)
                    yield Dispatched(delivery, DeliveryState.SENT)
                    continue
            if way.resends and delivery.lost < MOST_COPIES:
                store.mark(delivery.id, DeliveryState.PLANNED)


def settle(
    store: Store, delivery: Delivery, clock: Callable[[], datetime], act: Callable[[], None]
) -> Dispatched:
    """Do it, and write down how it went."""
    error: DigestError | None = None
    try:
        act()
    except StoreError:
        raise  # what becomes of the delivery is decided by `recover`
    except _TakenOverError as other:
        return Dispatched(delivery, DeliveryState.DEFERRED, other)
    except DigestError as failure:
        error = failure
    now = clock()
    state, pause, counts = _judged(error, delivery)
    if isinstance(error, TransientDeliveryError) and state == DeliveryState.FAILED:
        error.remedy = f"Given up after {delivery.attempts} attempts; `digest outbox retry {delivery.id}`"
    write = partial(
        store.mark,
        delivery.id,
        state,
        error=None if error is None else redacted(str(error)),
        not_before=None if pause is None else now + pause,
        sent_at=now if error is None else None,
        counts=counts,
        # What was sent is so whoever else has begun to send it; what was not is for them to say.
        attempt=None if error is None else delivery.attempts,
    )
    for _ in range(_TRIES - 1):  # what is not written down is done again
        with suppress(StoreError):
            write()
            break
    else:
        write()
    return Dispatched(delivery, state, error)


def _judged(error: DigestError | None, delivery: Delivery) -> tuple[DeliveryState, timedelta | None, bool]:
    """What becomes of a delivery, how long it waits, and whether that was an attempt."""
    match error:
        case None:
            return DeliveryState.SENT, None, True
        case UncertainDeliveryError():
            return DeliveryState.UNCERTAIN, _UNTIL_IT_IS_THERE * (delivery.lost + 1), True
        case LimitReachedError():
            return DeliveryState.DEFERRED, _UNTIL_MORE_IS_TAKEN, False
        case UnreachableError():
            return DeliveryState.DEFERRED, _UNTIL_THERE_IS_A_WAY, False
        case TransientDeliveryError():
            pause = wait(delivery.attempts, f"{delivery.digest}/{delivery.recipient}")
            return DeliveryState.FAILED if pause is None else DeliveryState.DEFERRED, pause, True
        case RefusedByServerError() | CredentialError() | ConfigError() | RenderError():
            # Somebody may have mended it by the next run. A refusal of mail ends the round; that of one
            # webhook must not, nor may it be asked for each minute.
            pause = _UNTIL_IT_IS_MENDED if delivery.channel == "webhook" else None
            return DeliveryState.DEFERRED, pause, False
        case _:
            return DeliveryState.FAILED, None, True
