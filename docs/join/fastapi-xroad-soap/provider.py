"""A service of an agency with fastapi-xroad-soap: who was born, and papers about it.

    python provider.py --port 8090

It needs `pip install -r requirements.txt`. The hub reaches it through an adapter on
`bus.kit.xroad_agency`; docs/join.md shows the form that the adapter has to name. Leave out
`from __future__ import annotations`: the library reads annotations as they are written.
"""

import argparse

import uvicorn
from fastapi_xroad_soap import MessageBody, SoapService, XroadHeader
from fastapi_xroad_soap.elements import Integer, String, SwaRef
from fastapi_xroad_soap.faults import ClientFault

BIRTHS = {"12": ("Nguyễn An", "Phường Cửa Lò"), "13": ("Trần Bình", "Phường Vinh Phú")}


class TraCuuKhaiSinh(MessageBody, tag="TraCuuKhaiSinh"):
    """The question: the number of an entry in the register of births."""

    number = String(tag="So")


class TraCuuKhaiSinhResponse(MessageBody, tag="TraCuuKhaiSinhResponse"):
    """The answer: whose birth, and where."""

    name = String(tag="Ten")
    place = String(tag="NoiDangKy")


class NopGiayTo(MessageBody, tag="NopGiayTo"):
    """A paper that somebody hands in."""

    paper = SwaRef.Element(tag="TepTin", allowed_filetypes=[".pdf"])


class NopGiayToResponse(MessageBody, tag="NopGiayToResponse"):
    """What was taken: its size, and a copy."""

    size = Integer(tag="KichThuoc")
    copy = SwaRef.Element(tag="BanSao", allowed_filetypes=[".pdf"])


soap = SoapService(name="HoTichService", path="/hotich", this_namespace="urn:example:hotich:1")


@soap.action("TraCuuKhaiSinh")
def look_up(body: TraCuuKhaiSinh, header: XroadHeader) -> TraCuuKhaiSinhResponse:
    """Answer from the register; a number that is not in it is a fault of this service."""
    if header.client.member_code == "":
        raise ClientFault("Nobody asks")
    if body.number not in BIRTHS:
        raise ClientFault("No such entry")
    name, place = BIRTHS[body.number]
    return TraCuuKhaiSinhResponse(name=name, place=place)


@soap.action("NopGiayTo")
def take_paper(body: NopGiayTo) -> NopGiayToResponse:
    """Take an attachment and give it back as another one."""
    paper = body.paper
    return NopGiayToResponse(
        size=len(paper.content), copy=SwaRef.File(name="ban-sao.pdf", content=paper.content)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Answer questions about births.")
    parser.add_argument("--port", type=int, default=8090)
    uvicorn.run(soap, host="127.0.0.1", port=parser.parse_args().port, log_level="warning")
