// Fetch from a mailbox with npm soap, from the served WSDL, as standard input says, and acknowledge.
const fs = require("node:fs");
const soap = require("soap");

const asked = JSON.parse(fs.readFileSync(0, "utf8"));
const { headerBlocks, signing, verify } = require(asked.signing);
const read = (file) => fs.readFileSync(file, "utf8");
const hub = read(asked.hub_certificate);

async function call(code, values) {
  const service = `${asked.hub}/${code}`;
  const client = await soap.createClientAsync(`${asked.hub_url}/services/${service}?wsdl`);
  const blocks = headerBlocks({ client: asked.client, service, id: `${asked.id}-${code}` });
  Object.values(blocks).forEach((block) => client.addSoapHeader(block));
  client.setSecurity(signing(read(asked.key), read(asked.certificate), Object.keys(blocks)));
  const [told, answer, , sent] = await client[`${code}Async`](values);
  // The hub is the provider: it signs answers and faults.
  verify(answer, sent, { answerCertificate: hub, faultCertificate: hub });
  return told;
}

async function main() {
  const listed = await call("listMessages", {});
  const fetched = await call("fetchMessages", { count: 1, leaseSeconds: 60 });
  const [message] = [fetched.message].flat();
  const said = { delivery: message.delivery, lease: fetched.lease, result: "accepted" };
  const ended = await call("acknowledgeMessage", said);
  console.log(
    JSON.stringify({
      listed: [listed.message].flat().map((one) => one.delivery),
      delivery: message.delivery,
      envelope: message.envelope,
      verdict: ended.verdict,
      receipt: ended.receipt,
    }),
  );
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
