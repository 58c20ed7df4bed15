"""An exchange as a broker, by ccxt: its sandbox or testnet, or, where that was allowed twice, the exchange itself.

That no order is doubled or lost rests on what the exchange promises: it knows orders by the id that we chose, and takes
no request whose stamp is too old. Binance does, and it is what this was proved with; others are refused.
Credentials come from the environment alone, see `pregao.market.sources.ccxt.client`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable
from copy import copy
from decimal import Decimal
from typing import Any, TypeVar

import ccxt

from pregao.core.errors import PregaoError, UsageError
from pregao.core.instrument import Instrument
from pregao.market.sources.ccxt.client import CcxtOptions, host, match, open_client
from pregao.market.sources.ccxt.patience import Patience, plain
from pregao.market.sources.ccxt.rules import instrument_of
from pregao.sessions.brokers.contract import (
    Balance,
    Fill,
    Filters,
    RefusedError,
    Report,
    Request,
    StampError,
    Status,
    UnknownOutcomeError,
)
from pregao.sessions.brokers.permission import permit

T = TypeVar("T")
EXCHANGES = ("binance", "binanceus")
WINDOW_MS = 5_000
"""``recvWindow``: how old a request may be when it reaches the exchange."""
_DOUBT_MS = 1_500
"""How wrong our idea of the exchange's clock may be: it is asked again before it can be more."""
_PAGE = 500
_STOP_LEG, _LIST = "s", "l"
"""What the client ids of a bracket's stop loss and of the pair have after that of its take profit."""
_MOST = 10**12
_LOOPBACK = re.compile(r"^(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?$")
_REFUSALS = (
    ccxt.InvalidOrder, ccxt.InsufficientFunds, ccxt.AuthenticationError, ccxt.BadSymbol, ccxt.BadRequest,
    ccxt.ArgumentsRequired, ccxt.NotSupported, ccxt.OperationRejected,
)  # fmt: skip
"""What an exchange says of a request that it did not carry out. Of everything else the outcome is unknown."""
_BUSY = (ccxt.RateLimitExceeded, ccxt.DDoSProtection)
_STATUS: dict[str, Status] = {
    "open": "open", "closed": "filled", "canceled": "cancelled", "canceling": "open", "rejected": "rejected",
    "expired": "expired",
}  # fmt: skip


class Exchange:
    """One market of an exchange; implements `contract.Broker`.

    Args:
        options: which exchange, and where it is.
        symbol: of the market.
        sandbox: use the exchange's own sandbox.
        confirmation: what the person typed, see `permission.permit`.
        patience: with questions that fail; orders are never sent again here.

    Raises:
        UsageError: without credentials or permission, for other exchanges than those of Binance, or for contracts.
    """

    def __init__(
        self,
        options: CcxtOptions,
        symbol: str,
        sandbox: bool = True,
        confirmation: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        if options.kind != "spot":
            raise UsageError("Orders are sent to spot markets only.", "Leave out the option kind.")
        if options.exchange not in EXCHANGES:
            raise UsageError(
                f"Orders are not sent to {options.exchange}: that none is doubled was proved for others only.",
                f"Use one of: {', '.join(EXCHANGES)}.",
            )
        self._patience = patience or Patience()
        self._client = open_client(options)
        local = bool(_LOOPBACK.match(host(self._client)))
        if sandbox and not local:
            self._enter_sandbox()
        permit(self._client.id, sandbox or local, confirmation)
        needed = [name for name in ("apiKey", "secret") if not getattr(self._client, name)]
        if needed:
            prefix = f"PREGAO_CCXT_{options.exchange.upper()}_"
            raise UsageError(
                f"{options.exchange} takes orders with credentials only.", f"Set {prefix}KEY and {prefix}SECRET."
            )
        self._ask(lambda: self._client.load_markets())
        self._skew_ms = 0
        self.sync()
        self._sandbox = sandbox
        self._trade(symbol)

    def _trade(self, symbol: str) -> None:
        self._market = match(self._client, symbol, "spot")
        self._symbol = str(self._market["symbol"])
        self._instrument = instrument_of(self._client, self._market, None, None)
        self._filters = self._read_filters()
        account = hashlib.sha256(str(self._client.apiKey).encode()).hexdigest()[:8]
        self._name = f"{self._client.id}{' sandbox' if self._sandbox else ''}/{self._symbol}/{account}"

    def at(self, symbol: str) -> Exchange:
        """Another market in the same account, over the same connection and within the same rate limit: the two must be
        used in turn, not at once. Raises `UsageError` if there is none."""
        other = copy(self)
        other._trade(symbol)
        return other

    @property
    def name(self) -> str:
        """The exchange, the market, and a hash of the key, which tells accounts apart and tells nothing of the key."""
        return self._name

    @property
    def instrument(self) -> Instrument:
        """The market, with its grids and fees."""
        return self._instrument

    @property
    def filters(self) -> Filters:
        """The exchange's own."""
        return self._filters

    @property
    def window_ms(self) -> int:
        """The exchange's window for stamps, and how wrong our clock may be."""
        return WINDOW_MS + _DOUBT_MS

    def now_ms(self) -> int:
        """By the difference that `sync` found."""
        return int(self._client.milliseconds()) - self._skew_ms

    def sync(self) -> None:
        """Ask for the exchange's time."""
        self._skew_ms = int(self._ask(lambda: self._client.load_time_difference()))

    def last_ticks(self) -> int:
        """Of the last trade."""
        ticker = self._ask(lambda: self._client.fetch_ticker(self._symbol))
        return self._ticks(ticker["last"])

    def place(self, client_id: str, request: Request, stamp_ms: int) -> Report:
        """See `contract.Broker.place`."""
        try:
            if request.kind == "bracket":
                return self._place_bracket(client_id, request, stamp_ms)
            return self._place_one(client_id, request, stamp_ms)
        except ccxt.InvalidNonce as error:
            raise StampError(f"{self._client.id} refused the time on a request: {_said(error)}.") from error
        except ccxt.DuplicateOrderId as error:
            raise UnknownOutcomeError(f"{self._client.id} has {client_id} already.") from error
        except _BUSY as error:
            told = plain(self._client, error, 1)
            raise RefusedError("busy", told.message, told.mend) from error
        except _REFUSALS as error:
            raise RefusedError(
                type(error).__name__, f"{self._client.id} refused the order: {_said(error)}.", "Change it, or leave it."
            ) from error
        except Exception as error:  # whatever it was, only the exchange knows what became of the order
            raise UnknownOutcomeError(f"{self._client.id} did not say what became of {client_id}: {error}.") from error

    def cancel(self, client_id: str) -> Report:
        """See `contract.Broker.cancel`."""

        def cancel() -> Any:
            return self._client.cancel_order(None, self._symbol, {"clientOrderId": client_id} | self._stamped())

        try:
            self._timely(cancel)
        except Exception as error:  # the order itself tells, whatever the exchange said or did not say
            ended = self.order(client_id)
            if ended is None or ended.status == "open":
                raise UnknownOutcomeError(f"{self._client.id} did not cancel {client_id}: {_said(error)}.") from error
            return ended
        ended = self.order(client_id)
        if ended is None:
            raise UnknownOutcomeError(f"{self._client.id} does not know {client_id} any more.")
        return ended

    def order(self, client_id: str) -> Report | None:
        """See `contract.Broker.order`."""

        found = self._fetched(client_id)
        if found is None or not _is_paired(found):
            return None if found is None else self._report(found, client_id)
        other = self._fetched(client_id + _STOP_LEG)
        if other is None:
            raise PregaoError(f"{self._client.id} knows one half of the bracket {client_id} only.", "Look at it there.")
        return _together(self._report(found, client_id), self._report(other, client_id))

    def open_orders(self) -> list[Report]:
        """See `contract.Broker.open_orders`."""
        found = self._ask(lambda: self._client.fetch_open_orders(self._symbol, params=self._stamped()))
        return [self._report(order, str(order["clientOrderId"]).removesuffix(_STOP_LEG)) for order in found]

    def fills(self, after: int) -> list[Fill]:
        """See `contract.Broker.fills`."""

        def ask() -> Any:
            params = {"fromId": after + 1} | self._stamped()
            return self._client.fetch_my_trades(self._symbol, None, _PAGE, params)

        found = [self._fill(trade) for trade in self._ask(ask)]
        return sorted((fill for fill in found if fill.number > after), key=lambda fill: fill.number)

    def balances(self) -> dict[str, Balance]:
        """See `contract.Broker.balances`."""
        found = self._ask(lambda: self._client.fetch_balance(self._stamped()))
        return {
            name: Balance(_exact(total), _exact(found["free"].get(name) or 0))
            for name, total in found["total"].items()
            if total
        }

    # -- inside

    def _place_one(self, client_id: str, request: Request, stamp_ms: int) -> Report:
        params: dict[str, Any] = {"clientOrderId": client_id, "timestamp": stamp_ms, "recvWindow": WINDOW_MS}
        if request.kind == "limit":
            params |= {"postOnly": True} if request.post_only else {"timeInForce": request.tif}
        price = self._price(request.price_ticks) if request.kind == "limit" else None
        side = "buy" if request.side > 0 else "sell"
        made = self._client.create_order(self._symbol, request.kind, side, self._amount(request), price, params)
        return self._report(made, client_id)

    def _place_bracket(self, client_id: str, request: Request, stamp_ms: int) -> Report:
        """Binance's "one cancels the other": its id is that of the take profit, the stop loss has a letter more."""
        above, below = ("above", "below") if request.side < 0 else ("below", "above")
        made = self._client.private_post_orderlist_oco({
            "symbol": self._market["id"], "side": "SELL" if request.side < 0 else "BUY",
            "quantity": self._amount(request), "listClientOrderId": client_id + _LIST,
            f"{above}Type": "LIMIT_MAKER", f"{above}Price": self._price(request.price_ticks),
            f"{above}ClientOrderId": client_id,
            f"{below}Type": "STOP_LOSS", f"{below}StopPrice": self._price(request.stop_ticks),
            f"{below}ClientOrderId": client_id + _STOP_LEG,
            "timestamp": stamp_ms, "recvWindow": WINDOW_MS,
        })  # fmt: skip
        legs = {str(leg["clientOrderId"]): str(leg["orderId"]) for leg in made["orders"]}
        return Report(client_id, "open", 0, f"{legs[client_id]}/{legs[client_id + _STOP_LEG]}")

    def _fetched(self, client_id: str) -> Any:
        def ask() -> Any:
            try:
                return self._client.fetch_order(None, self._symbol, {"clientOrderId": client_id} | self._stamped())
            except ccxt.OrderNotFound:
                return None

        return self._ask(ask)

    def _amount(self, request: Request) -> str:
        return f"{request.qty_lots * self._instrument.lot_size:f}"

    def _price(self, ticks: int) -> str:
        return f"{ticks * self._instrument.tick_size:f}"

    def _ask(self, question: Callable[[], T]) -> T:
        """A question is asked again while that may help, also with the clock set anew."""
        return self._patience.call(self._client, lambda: self._timely(question))

    def _timely(self, request: Callable[[], T]) -> T:
        """Something that may be asked twice; asked again at once by the exchange's clock, where ours had run away."""
        try:
            return request()
        except ccxt.InvalidNonce:
            self._skew_ms = int(self._client.load_time_difference())
            return request()

    def _stamped(self) -> dict[str, Any]:
        return {"timestamp": self.now_ms(), "recvWindow": WINDOW_MS}

    def _enter_sandbox(self) -> None:
        try:
            self._client.set_sandbox_mode(True)
        except Exception as error:  # ccxt raises what it likes here
            raise UsageError(
                f"{self._client.id} has no sandbox that ccxt knows of.", "Practise on another exchange."
            ) from error

    def _read_filters(self) -> Filters:
        limits, instrument = self._market.get("limits") or {}, self._instrument

        def of(what: str, which: str, grid: Decimal, otherwise: int) -> int:
            found = (limits.get(what) or {}).get(which)
            return otherwise if found is None else int(_exact(found) / grid)

        return Filters(
            max(of("amount", "min", instrument.lot_size, 1), 1),
            of("amount", "max", instrument.lot_size, _MOST),
            max(of("price", "min", instrument.tick_size, 1), 1),
            of("price", "max", instrument.tick_size, _MOST),
            instrument.min_notional,
        )

    def _report(self, order: Any, client_id: str) -> Report:
        status = _STATUS.get(str(order.get("status")), "open")
        filled = _exact(order.get("filled") or 0) / self._instrument.lot_size
        return Report(client_id, status, int(filled), str(order["id"]))

    def _fill(self, trade: Any) -> Fill:
        fee = trade.get("fee") or {}
        return Fill(
            int(trade["id"]), str(trade["order"]), int(trade["timestamp"]), 1 if trade["side"] == "buy" else -1,
            int(_exact(trade["amount"]) / self._instrument.lot_size), self._ticks(trade["price"]),
            _exact(fee.get("cost") or 0), str(fee.get("currency") or ""), trade.get("takerOrMaker") == "maker",
        )  # fmt: skip

    def _ticks(self, price: Any) -> int:
        if price is None:
            raise PregaoError(f"{self._client.id} tells no price of {self._symbol}.", "Is the market open?")
        return int(_exact(price) / self._instrument.tick_size)


def _is_paired(order: Any) -> bool:
    """Whether an order is one leg of a bracket."""
    return int((order.get("info") or {}).get("orderListId", -1)) >= 0


def _together(profit: Report, stop: Report) -> Report:
    """Both legs of a bracket as one order: it is open while one of them is, and filled if one of them filled."""
    both = {profit.status, stop.status}
    status: Status = "open" if "open" in both else "filled" if "filled" in both else "cancelled"
    return Report(
        profit.client_id, status, profit.filled_lots + stop.filled_lots, f"{profit.broker_id}/{stop.broker_id}"
    )


def _exact(number: Any) -> Decimal:
    """A number as ccxt gives it, as the decimal that it was written as."""
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(str(number))


def _said(error: BaseException) -> str:
    """The exchange's own words where they can be found in ccxt's."""
    text = " ".join(str(error).split())
    found = re.search(r"\{.*\}", text)
    if found:
        with contextlib.suppress(ValueError):
            text = str(json.loads(found[0]).get("msg") or text)
    return text[:200].rstrip(".")
