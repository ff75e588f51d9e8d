// Show answers to the verification of docs/join/npm-soap; print what it says to each.
const fs = require("node:fs");

const { signing, signers, cases } = JSON.parse(fs.readFileSync(0, "utf8"));
const { verify } = require(signing);
const pem = {
  answerCertificate: fs.readFileSync(signers.answer, "utf8"),
  faultCertificate: fs.readFileSync(signers.fault, "utf8"),
};

const said = Object.entries(cases).map(([name, { sent, answer }]) => {
  try {
    verify(answer, sent, pem);
    return [name, "believed"];
  } catch (error) {
    return [name, error.message];
  }
});
console.log(JSON.stringify(Object.fromEntries(said)));
