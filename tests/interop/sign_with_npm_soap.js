// Sign an envelope (standard input) with npm soap, as it does by default and as the example does.
const fs = require("node:fs");
const soap = require("soap");

const [example, keyFile, certificateFile, ...blocks] = process.argv.slice(2);
const [key, certificate] = [keyFile, certificateFile].map((file) => fs.readFileSync(file, "utf8"));
const envelope = fs.readFileSync(0, "utf8");
const byDefault = new soap.WSSecurityCert(key, certificate, "", {
  hasTimeStamp: true,
  additionalReferences: blocks.map((name) => `xrd:${name}`),
  signerOptions: { idMode: "wssecurity" },
});
const asShown = require(example).signing(key, certificate, blocks);
console.log(
  JSON.stringify({
    "by default": byDefault.postProcess(envelope, "soap"),
    "as shown": asShown.postProcess(envelope, "soap"),
  }),
);
