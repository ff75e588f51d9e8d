"""A service whose schema is cut into files is read from its WSDL, and called, by stacks of others.

What its files do: include one another, one of them from two places, import other namespaces,
belong to whoever includes them, and say differently whether local names are qualified.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xmlschema
from lxml import etree

from tests.interop.foreign_stacks import cxf_classes_with, npm_soap_modules, zeep_python
from tests.interop.judges import JOIN, program, run
from tests.interop.several_files.running import (
    CLIENT,
    CLIENTS,
    NAMESPACE,
    SERVICE,
    running_service,
)

pytestmark = pytest.mark.interop

NAME = "Nguyễn Thị Đào"
NUMBER = "000-H41-26"
FIELDS = {
    "SoHoSo": NUMBER,
    "NguoiHoi": {"HoVaTen": NAME, "DiaChi": {"Duong": "Lê Lợi", "Tinh": "Huế"}},
    "Gap": "CÓ",
}
QUESTION = (
    f'<layHoSo xmlns="{NAMESPACE}" xmlns:n="urn:nguoi:1.0" xmlns:d="urn:dia-chi:1.0">'
    f"<SoHoSo>{NUMBER}</SoHoSo><NguoiHoi><n:HoVaTen>{NAME}</n:HoVaTen>"
    "<n:DiaChi><d:Duong>Lê Lợi</d:Duong><d:Tinh>Huế</d:Tinh></n:DiaChi></NguoiHoi>"
    "<Gap>CÓ</Gap></layHoSo>"
)


@pytest.fixture(scope="module")
def point(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_service(tmp_path_factory.mktemp("several-files") / "nation") as url:
        yield url


def check_answer(answer: dict[str, Any]) -> None:
    """What the agency said, as a stack read it into values."""
    assert [one["TrangThai"] for one in answer["HoSo"]] == ["đã tiếp nhận", "đã trả"]
    assert {one["SoHoSo"] for one in answer["HoSo"]} == {NUMBER}
    assert {one["ChuHoSo"]["HoVaTen"] for one in answer["HoSo"]} == {NAME}
    assert answer["NguoiKy"]["DiaChi"]["Tinh"] == "Nghệ An"


def test_zeep_reads_the_wsdl_and_calls(point: str) -> None:
    script = CLIENTS / "ask_with_zeep.py"

    done = run(zeep_python(), script, point, CLIENT, SERVICE, json.dumps(FIELDS))

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    check_answer(answer)
    assert [one["lan"] for one in answer["HoSo"]] == [1, 2]


def test_npm_soap_reads_the_wsdl_and_calls(point: str) -> None:
    modules = npm_soap_modules()
    script, signing = CLIENTS / "ask_with_npm_soap.js", JOIN / "npm-soap" / "header_signing.js"
    arguments = (point, CLIENT, SERVICE, json.dumps(FIELDS), signing)

    done = run(program("node"), script, *arguments, environment={"NODE_PATH": str(modules)})

    assert done.returncode == 0, done.stderr
    check_answer(json.loads(done.stdout))


def test_cxf_reads_the_wsdl_validates_by_it_and_calls(point: str) -> None:
    classes = cxf_classes_with(CLIENTS / "AskFromWsdl.java")
    arguments = (point, CLIENT, SERVICE, NAMESPACE, QUESTION)

    done = run(program("java"), "-cp", classes, "AskFromWsdl", *arguments)

    assert done.returncode == 0, done.stderr
    assert f"HoVaTen: {NAME}\n" in done.stdout
    assert "TrangThai: đã trả\n" in done.stdout
    assert done.stdout.endswith("Tinh: Nghệ An\n")


def test_what_the_wsdl_holds_compiles_alone(point: str, tmp_path: Path) -> None:
    """Nothing in it leads to a file: each namespace stands there once, and is all there is."""
    with urllib.request.urlopen(f"{point}/services/{SERVICE}?wsdl") as reply:
        wsdl = etree.fromstring(reply.read())
    found = wsdl.findall(".//{http://www.w3.org/2001/XMLSchema}schema")
    spaces = [one.get("targetNamespace", "") for one in found]
    assert len(spaces) == len(set(spaces))
    assert wsdl.findall(".//*[@schemaLocation]") == []
    assert wsdl.findall(".//{http://www.w3.org/2001/XMLSchema}include") == []
    files = {}
    for place, one in enumerate(found):
        files[one.get("targetNamespace", "")] = path = tmp_path / f"{place}.xsd"
        path.write_bytes(etree.tostring(one, encoding="UTF-8", xml_declaration=True))
    locations = {space: str(path) for space, path in files.items()}

    whole = xmlschema.XMLSchema(files[NAMESPACE], locations=locations)

    assert whole.is_valid(QUESTION)
    assert not whole.is_valid(QUESTION.replace("CÓ", "CO"))
    assert not whole.is_valid(QUESTION.replace(NUMBER, "sai"))
