"""A third agency for a sandbox: the folder of its adapter, its schema, its lines in routes.yaml."""

from __future__ import annotations

from pathlib import Path

ADAPTER_ID = "weather_office"
SERVICE = "VN/GOV/G18/khamchuabenh/hoiThoiTiet/v1"
SCHEMA_FILE = "thoitiet/1.0/thoitiet.xsd"
NAMESPACE = "urn:example:thoi-tiet:1.0"

MANIFEST = """\
id: weather_office
name: Đài khí tượng
class: adapters.weather_office.adapter:WeatherAdapter
concurrency: 2
services:
  - code: hoiThoiTiet
    version: v1
    sample: samples/hoiThoiTiet.xml
settings:
  url: {required: true, secret: false, description: Address of the office}
  key: {required: true, secret: true, description: Key that the office gave to this hub}
"""
SIMULATOR = """\
simulator:
  class: adapters.weather_office.simulator:WeatherOffice
  settings:
    url: "{address}/forecast"
    key: "{secret}"
"""
ADAPTER = '''\
"""Ask the weather office for the weather where a citizen lives."""

from urllib.parse import quote

from lxml import etree

from bus.kit.agency_http import AgencyHttp, AgencyRequest
from bus.kit.clock import Deadline
from bus.kit.contract import Adapter, Answer, PayloadRejected, Query, RecipientUnavailable

NAMESPACE = "urn:example:thoi-tiet:1.0"


class WeatherAdapter(Adapter):
    def __init__(self, settings):
        super().__init__(settings)
        self._http = AgencyHttp()

    def answer(self, query: Query) -> Answer:
        if query.service.service_code != "hoiThoiTiet":
            raise PayloadRejected("no service of this agency")
        request = AgencyRequest(
            "GET",
            self.settings["url"],
            headers={"Key": quote(self.settings["key"])},
            query={"number": query.element()[0].text},
        )
        reply = self._http.send(request, Deadline.after(query.timeout_seconds))
        if reply.status != 200:
            raise RecipientUnavailable("the office gives no forecast")
        element = etree.Element(f"{{{NAMESPACE}}}hoiThoiTietResponse")
        etree.SubElement(element, f"{{{NAMESPACE}}}DuBao").text = reply.body.decode()
        return Answer(element)

    def close(self) -> None:
        self._http.close()
'''
SIMULATED = '''\
"""Be the weather office: it rains on everybody whom it knows."""

from urllib.parse import quote

from bus.kit.simulator import HttpReply, HttpRequest, SimulatedAgency, text_reply

NAMESPACE = "urn:example:thoi-tiet:1.0"


class WeatherOffice(SimulatedAgency):
    def __init__(self, known, key):
        super().__init__()
        self._known, self._key = known, key

    @classmethod
    def make_data(cls, nation, folder):
        (folder / "known.txt").write_text(f"{nation.citizen} {nation.relative}")

    @classmethod
    def open(cls, nation, folder, settings):
        return cls((folder / "known.txt").read_text().split(), quote(settings["key"]))

    @classmethod
    def sample_requests(cls, nation, folder):
        request = (
            f'<p:hoiThoiTiet xmlns:p="{NAMESPACE}">'
            f"<p:SoDinhDanh>{nation.citizen}</p:SoDinhDanh></p:hoiThoiTiet>"
        )
        return {"hoiThoiTiet": request.encode()}

    def is_service_call(self, request: HttpRequest) -> bool:
        return request.path == "/forecast"

    def answer(self, request: HttpRequest) -> HttpReply:
        if request.headers.get("key") != self._key:
            return text_reply(401, "who are you?")
        is_known = request.query.get("number") in self._known
        return text_reply(200, "mưa" if is_known else "nắng")

    def wrong_answer(self) -> HttpReply:
        return HttpReply(200, "application/json", b"{}")

    def refusal(self) -> HttpReply:
        return HttpReply(403, "application/json", b"{}")
'''
SAMPLE = f"""\
<p:hoiThoiTiet xmlns:p="{NAMESPACE}"><p:SoDinhDanh>040185766517</p:SoDinhDanh></p:hoiThoiTiet>
"""
SCHEMA = f"""\
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{NAMESPACE}"
    elementFormDefault="qualified">
  <xs:element name="hoiThoiTiet"><xs:complexType><xs:sequence>
    <xs:element name="SoDinhDanh"><xs:simpleType><xs:restriction base="xs:string">
      <xs:pattern value="[0-9]{{12}}"/></xs:restriction></xs:simpleType></xs:element>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="hoiThoiTietResponse"><xs:complexType><xs:sequence>
    <xs:element name="DuBao" type="xs:string"/>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>
"""


def write_adapter(adapters: Path, *, with_simulator: bool = True) -> None:
    """The folder of the adapter, below a folder of adapters."""
    files = {
        "__init__.py": "",
        "README.md": "# Đài khí tượng\n",
        "adapter.py": ADAPTER,
        "manifest.yaml": MANIFEST + with_simulator * SIMULATOR,
        "samples/hoiThoiTiet.xml": SAMPLE,
        **({"simulator.py": SIMULATED} if with_simulator else {}),
    }
    for name, content in files.items():
        path = adapters / ADAPTER_ID / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")


def write_schema(schemas: Path) -> None:
    path = schemas / SCHEMA_FILE
    path.parent.mkdir(parents=True)
    path.write_text(SCHEMA, "utf-8")


def routed(routes: str) -> str:
    """The sample nation's routes.yaml, with the service and a grant for it."""
    service = f"""services:
  - id: {SERVICE}
    title: Hỏi thời tiết
    adapter: {ADAPTER_ID}
    schema: {SCHEMA_FILE}
    mode: query
    timeout_seconds: 5
"""
    grant = f"""grants:
  - purpose: Thử
    legal_basis: Không có
    clients: [VN/GOV/H41/motcua]
    services: [{SERVICE}]
"""
    return routes.replace("services:\n", service, 1).replace("grants:\n", grant, 1)
