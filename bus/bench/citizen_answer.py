"""Answer every question about a citizen with one fixed record, and take every delivery, at once."""

from __future__ import annotations

from bus.core.xml import parse_xml
from bus.kit.contract import Adapter, Answer, Delivered, Disposition, Query, Submission

SERVICE = "VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1"
CITIZEN_ANSWER = (
    '<TraCuuThongTinCongDanResponse xmlns="http://dancuquocgia.bca">'
    '<CongdanCollection SoCongDan="1" ThoiDiemDuLieu="2026-01-01T00:00:00+07:00"><CongDan>'
    "<SoDinhDanh>040090000001</SoDinhDanh><SoCMND>182345678</SoCMND>"
    "<HoVaTen><Ho>Nguyễn</Ho><ChuDem>Văn</ChuDem><Ten>An</Ten></HoVaTen>"
    "<GioiTinh>1</GioiTinh><DanToc>01</DanToc><TonGiao>00</TonGiao>"
    "<TinhTrangHonNhan>2</TinhTrangHonNhan>"
    "<NgayThangNamSinh><NgayThangNam>19900101</NgayThangNam></NgayThangNamSinh>"
    "<QuocTich>VN</QuocTich>"
    "<QueQuan><MaTinhThanh>40</MaTinhThanh><QuocGia>VN</QuocGia></QueQuan>"
    "<ThuongTru><MaTinhThanh>40</MaTinhThanh><MaPhuongXa>16690</MaPhuongXa>"
    "<ChiTiet>Số 12, ngõ 5, đường Lê Lợi</ChiTiet><QuocGia>VN</QuocGia></ThuongTru>"
    "<Cha><HoVaTen>Nguyễn Văn Bình</HoVaTen><SoDinhDanh>040065000002</SoDinhDanh></Cha>"
    "<Me><HoVaTen>Trần Thị Cúc</HoVaTen><SoDinhDanh>040167000003</SoDinhDanh></Me>"
    "<VoChong><HoVaTen>Lê Thị Dung</HoVaTen><SoDinhDanh>040192000004</SoDinhDanh></VoChong>"
    "</CongDan></CongdanCollection></TraCuuThongTinCongDanResponse>"
).encode()
"""An invented person; in exclusive canonical form as it stands."""


class FixedCitizen(Adapter):
    """An agency that costs nothing: what is measured is the hub."""

    answers_at_once = True

    def answer(self, query: Query) -> Answer:
        """The fixed record, whatever is asked; nobody changes an answer."""
        return Answer(_ROOT)

    def deliver(self, submission: Submission) -> Disposition:
        """Taken, whatever it is; nothing is said of it."""
        return Delivered()


class FixedCitizenOnThread(FixedCitizen):
    """The same agency, asked on a thread of its adapter, as every agency is that must be waited
    for."""

    answers_at_once = False


_ROOT = parse_xml(CITIZEN_ANSWER, bytes_max=len(CITIZEN_ANSWER))
