"""PyPI bankid-sdk as an application uses it: a line of JSON in for each call, a line of JSON out.

    sdk.py URL [ROOT IDENTITY PASSWORD]

Without ROOT it needs nothing but the URL, which is what an application has when the egress adds the identity; with it, it
is the relying party itself.
"""
import asyncio
import dataclasses
import json
import ssl
import sys

import httpx
from bankid_sdk import AsyncV60, BankIDAPIError, BankIDHTTPError, Requirement, SyncV60, generate_qr_code

PATIENCE = 60


def main():
    url, *tls = sys.argv[1:]
    with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False, verify=context(*tls) if tls else True) as client:
        for line in sys.stdin:
            call = json.loads(line)
            print(json.dumps(told(lambda: act(SyncV60(client), url, **call))), flush=True)


def context(root, identity, password):
    made = ssl.create_default_context(cafile=root)
    made.load_cert_chain(identity, password=password)
    return made


def act(bankid, url, do, **given):
    number = given.pop("personal_number", None)
    if do in ("auth", "sign"):
        given["requirement"] = Requirement(personal_number=number) if number else None
    if do == "many":
        return asyncio.run(many(url, **given))
    result = getattr(bankid, do)(**given)
    if do in ("auth", "sign"):
        return {**plain(result), "qr": generate_qr_code(result)}
    return plain(result)


async def many(url, orders):
    """So many orders at once, each collected without a pause until it is final: what every one of them got."""
    # A pool of httpx's looks through all of its connections for each request, so that no one has hundreds.
    shares = [range(first, min(first + 20, orders)) for first in range(0, orders, 20)]
    return [result for share in await asyncio.gather(*(some(url, share) for share in shares)) for result in share]


async def some(url, numbers):
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False, limits=limits) as client:
        return await asyncio.gather(*(one(AsyncV60(client), number) for number in numbers))


async def one(bankid, number):
    order = await bankid.auth("192.0.2.7", Requirement(personal_number=f"{190000000000 + number}"))
    collects = 0
    while True:
        collects += 1
        result = plain(await bankid.collect(order.order_ref))
        if result.get("hint_code") is None:
            return {"order_ref": order.order_ref, "number": number, "collects": collects, "got": result}


def told(work):
    try:
        return {"ok": work()}
    except BankIDAPIError as error:
        # `error.code` of 0.0.2 is always 0: an answer with an error status is false, and that is what it asks.
        known = {"error": type(error).__name__, "error_code": error.error_code, "json": error.json}
        return {**known, "status": error.response.status_code, "headers": dict(error.response.headers)}
    except BankIDHTTPError as error:
        return {"error": "BankIDHTTPError", "cause": repr(error.__cause__)}


def plain(result):
    return dataclasses.asdict(result, dict_factory=lambda pairs: {k: v for k, v in pairs if k != "start_time"}) if result else {}


main()
