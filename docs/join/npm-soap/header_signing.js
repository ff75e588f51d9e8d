// Let npm soap sign what a hub asks for, and believe only answers that are signed where they stand.
//
// Copy this file beside your client; it needs soap, xml-crypto and @xmldom/xmldom only.
//
// npm soap verifies no answer at all, so `verify` does; and xml-crypto knows no ECDSA, so
// `EcdsaSha256` gives it to both.
"use strict";

const crypto = require("node:crypto");
const { DOMParser } = require("@xmldom/xmldom");
const soap = require("soap");
const { SignedXml } = require("xml-crypto");

const NS = {
  soap: "http://schemas.xmlsoap.org/soap/envelope/",
  xrd: "http://x-road.eu/xsd/xroad.xsd",
  id: "http://x-road.eu/xsd/identifiers",
  lt: "urn:lienthong:message:1.0",
  ds: "http://www.w3.org/2000/09/xmldsig#",
  wsse: "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
  wsu: "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd",
};
const EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#";
const RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
const SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256";

/** ECDSA with SHA-256 for xml-crypto: the value is r and s side by side. XML Signature 1.1 §6.4.3. */
class EcdsaSha256 {
  getSignature(signedInfo, privateKey) {
    const key = crypto.createPrivateKey(privateKey.key ?? privateKey);
    return crypto.sign("sha256", Buffer.from(signedInfo), { key, dsaEncoding: "ieee-p1363" }).toString("base64");
  }

  verifySignature(signedInfo, certificate, value) {
    const key = crypto.createPublicKey(certificate);
    const signature = Buffer.from(value, "base64");
    return crypto.verify("sha256", Buffer.from(signedInfo), { key, dsaEncoding: "ieee-p1363" }, signature);
  }

  getAlgorithmName() {
    return ECDSA_SHA256;
  }
}

const METHODS = { rsa: RSA_SHA256, ec: ECDSA_SHA256 };

/** What `client.setSecurity` takes: one signature over Body, Timestamp and these header blocks. */
function signing(keyPem, certificatePem, blockNames) {
  const signatureAlgorithm = METHODS[crypto.createPrivateKey(keyPem).asymmetricKeyType];
  const security = new soap.WSSecurityCert(keyPem, certificatePem, "", {
    hasTimeStamp: true,
    signatureAlgorithm,
    digestAlgorithm: SHA256,
    // The default adds the enveloped-signature transform, which changes nothing here and is refused.
    signatureTransformations: [EXCLUSIVE],
    additionalReferences: blockNames.map((name) => `xrd:${name}`),
    signerOptions: { idMode: "wssecurity", prefix: "ds" },
  });
  security.signer.SignatureAlgorithms[ECDSA_SHA256] = EcdsaSha256;
  return security;
}

/** The X-Road header blocks of a request, in the prefix that `signing` looks for. */
function headerBlocks({ client, service, id, userId, issue }) {
  const names = ["xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode", "serviceVersion"];
  const identifier = (name, type, text) => {
    const parts = text.split("/").map((part, place) => `<id:${names[place]}>${escape(part)}</id:${names[place]}>`);
    return `<xrd:${name} xmlns:xrd="${NS.xrd}" xmlns:id="${NS.id}" id:objectType="${type}">${parts.join("")}</xrd:${name}>`;
  };
  const leaf = (name, text) => `<xrd:${name} xmlns:xrd="${NS.xrd}">${escape(text)}</xrd:${name}>`;
  const blocks = {
    client: identifier("client", "SUBSYSTEM", client),
    service: identifier("service", "SERVICE", service),
    userId: userId && leaf("userId", userId),
    id: leaf("id", id),
    issue: issue && leaf("issue", issue),
    protocolVersion: leaf("protocolVersion", "4.0"),
  };
  return Object.fromEntries(Object.entries(blocks).filter(([, block]) => block));
}

/** Throws, unless `answer` is the signed answer, or the signed fault, to the bytes that were sent. */
function verify(answer, sent, { answerCertificate, faultCertificate }) {
  const envelope = new DOMParser().parseFromString(answer, "text/xml").documentElement;
  const header = only(envelope, NS.soap, "Header");
  const body = only(envelope, NS.soap, "Body");
  const security = only(header, NS.wsse, "Security");
  const fault = children(body, NS.soap, "Fault")[0];
  // (1) The signer is whom we expect: the agency for an answer, the hub for a fault.
  const pem = fault ? faultCertificate : answerCertificate;
  const token = only(security, NS.wsse, "BinarySecurityToken").textContent;
  if (!Buffer.from(token, "base64").equals(new crypto.X509Certificate(pem).raw)) {
    throw new Error("signed by somebody else than we expect");
  }
  // (2) The signature holds, by methods that are strong.
  const node = only(security, NS.ds, "Signature");
  const signature = new SignedXml({ publicCert: pem, idMode: "wssecurity" });
  signature.CanonicalizationAlgorithms = { [EXCLUSIVE]: signature.CanonicalizationAlgorithms[EXCLUSIVE] };
  signature.HashAlgorithms = { [SHA256]: signature.HashAlgorithms[SHA256] };
  signature.SignatureAlgorithms = {
    [RSA_SHA256]: signature.SignatureAlgorithms[RSA_SHA256],
    [ECDSA_SHA256]: EcdsaSha256,
  };
  signature.loadSignature(node);
  if (!signature.checkSignature(answer)) {
    throw new Error("the signature does not hold");
  }
  // (3) Body, timestamp and X-Road headers, as they stand, are what the signature is about.
  // xml-crypto refuses a document in which two elements carry an Id that is referred to.
  const signed = new Set(signature.getReferences().map((reference) => reference.uri));
  const timestamp = only(security, NS.wsu, "Timestamp");
  for (const element of [body, timestamp, ...children(header, NS.xrd)]) {
    if (!signed.has(`#${element.getAttributeNS(NS.wsu, "Id")}`)) {
      throw new Error(`${element.tagName} is not signed where it stands`);
    }
  }
  // (4) It is about the request that we sent.
  const [method, named] = fault
    ? ["sha256", fault.getElementsByTagNameNS(NS.lt, "requestDigest")[0]]
    : ["sha512", only(header, NS.xrd, "requestHash")];
  if (named?.textContent !== crypto.createHash(method).update(sent).digest("base64")) {
    throw new Error("an answer to another request");
  }
}

function children(parent, namespace, name) {
  return Array.from(parent.childNodes).filter(
    (node) => node.namespaceURI === namespace && (!name || node.localName === name),
  );
}

function only(parent, namespace, name) {
  const found = children(parent, namespace, name);
  if (found.length !== 1) {
    throw new Error(`${name} stands ${found.length} times; expected once`);
  }
  return found[0];
}

function escape(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

module.exports = { headerBlocks, signing, verify };
