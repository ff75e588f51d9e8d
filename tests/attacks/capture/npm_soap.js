// One signed request of npm soap: its bytes go to standard output.
const fs = require("fs");
const soap = require("soap");

const [wsdl, keyFile, certificateFile, moment] = process.argv.slice(2);
const fixed = new Date(moment).getTime();
const RealDate = Date;
global.Date = class extends RealDate {
  constructor(...words) {
    super(...(words.length ? words : [fixed]));
  }
};

const member = (code, subsystem) =>
  "<id:xRoadInstance>VN</id:xRoadInstance><id:memberClass>GOV</id:memberClass>" +
  `<id:memberCode>${code}</id:memberCode><id:subsystemCode>${subsystem}</id:subsystemCode>`;
const headers = [
  `<xrd:client id:objectType="SUBSYSTEM">${member("H41", "motcua")}</xrd:client>`,
  `<xrd:service id:objectType="SERVICE">${member("G01", "dancu")}` +
    "<id:serviceCode>TraCuuThongTinCongDan</id:serviceCode>" +
    "<id:serviceVersion>v1</id:serviceVersion></xrd:service>",
  "<xrd:userId>VN0117</xrd:userId>",
  "<xrd:id>npm-soap-1</xrd:id>",
  "<xrd:issue>H41-2026-1</xrd:issue>",
  "<xrd:protocolVersion>4.0</xrd:protocolVersion>",
];
const signed = ["client", "service", "userId", "id", "issue", "protocolVersion"];

async function main() {
  const client = await soap.createClientAsync(wsdl);
  client.wsdl.definitions.xmlns.xrd = "http://x-road.eu/xsd/xroad.xsd";
  client.wsdl.definitions.xmlns.id = "http://x-road.eu/xsd/identifiers";
  client.wsdl.xmlnsInEnvelope = client.wsdl._xmlnsMap();
  headers.forEach((header) => client.addSoapHeader(header));
  client.setSecurity(
    new soap.WSSecurityCert(fs.readFileSync(keyFile), fs.readFileSync(certificateFile), "", {
      hasTimeStamp: true,
      signatureAlgorithm: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
      signatureTransformations: ["http://www.w3.org/2001/10/xml-exc-c14n#"],
      additionalReferences: signed.map((name) => `xrd:${name}`),
      signerOptions: { idMode: "wssecurity", prefix: "ds" },
    }),
  );
  client.httpClient.request = (url, data, callback) => {
    process.stdout.write(data);
    callback(new Error("sent"));
  };
  const citizen = {
    MaYeuCau: "MC-H41-2026-000001",
    MaDVC: "H41.MOTCUA",
    MaCanBo: "CB-H41-0117",
    SoDinhDanh: "040185766517",
    HoVaTen: "Vũ Thị Hương",
    NgayThangNamSinh: { NgayThangNam: "19850110" },
  };
  await client.TraCuuThongTinCongDanAsync(citizen).catch((error) => {
    if (error.message !== "sent") throw error;
  });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
