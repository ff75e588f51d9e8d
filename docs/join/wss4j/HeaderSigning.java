import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.apache.wss4j.common.WSEncryptionPart;
import org.apache.wss4j.common.crypto.AlgorithmSuite;
import org.apache.wss4j.common.crypto.Merlin;
import org.apache.wss4j.common.ext.WSSecurityException;
import org.apache.wss4j.dom.WSConstants;
import org.apache.wss4j.dom.WSDataRef;
import org.apache.wss4j.dom.engine.WSSConfig;
import org.apache.wss4j.dom.engine.WSSecurityEngine;
import org.apache.wss4j.dom.engine.WSSecurityEngineResult;
import org.apache.wss4j.dom.handler.RequestData;
import org.apache.wss4j.dom.message.WSSecHeader;
import org.apache.wss4j.dom.message.WSSecSignature;
import org.apache.wss4j.dom.message.WSSecTimestamp;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;

/**
 * Sign what a hub asks for with WSS4J, and believe only answers that are signed where they stand.
 *
 * <p>WSS4J says yes to any signature that holds, whatever it is about; {@link #verify} compares the
 * elements that it found signed with those that stand at their places.
 */
final class HeaderSigning {
  static final String XROAD = "http://x-road.eu/xsd/xroad.xsd";
  static final String LIENTHONG = "urn:lienthong:message:1.0";
  static final String RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
  static final String ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

  /** How a message can name the certificate of its signer. */
  static final Map<String, Integer> KEY_REFERENCES =
      Map.of(
          "BinarySecurityToken", WSConstants.BST_DIRECT_REFERENCE,
          "X509KeyIdentifier", WSConstants.X509_KEY_IDENTIFIER,
          "SubjectKeyIdentifier", WSConstants.SKI_KEY_IDENTIFIER,
          "IssuerSerial", WSConstants.ISSUER_SERIAL,
          "Thumbprint", WSConstants.THUMBPRINT_IDENTIFIER);

  /**
   * What a signature looks like: how it names the certificate, whether it covers that by
   * STR-Transform, and whether it covers the MIME headers of attachments besides their content.
   */
  record Form(String keyReference, boolean signsToken, boolean signsAttachmentHeaders) {
    static final Form USUAL = new Form("BinarySecurityToken", false, false);
  }

  private static final int SECONDS = 300;
  private static final String ALIAS = "own";

  private final Merlin own;
  private final String algorithm;
  private final X509Certificate answerSigner;
  private final X509Certificate faultSigner;

  HeaderSigning(Path key, Path certificate, Path answerCertificate, Path faultCertificate)
      throws GeneralSecurityException, IOException, WSSecurityException {
    WSSConfig.init();
    X509Certificate ours = certificate(certificate);
    KeyStore store = emptyStore();
    store.setKeyEntry(ALIAS, privateKey(key), new char[0], new X509Certificate[] {ours});
    own = new Merlin();
    own.setKeyStore(store);
    algorithm = ours.getPublicKey().getAlgorithm().equals("RSA") ? RSA_SHA256 : ECDSA_SHA256;
    answerSigner = certificate(answerCertificate);
    faultSigner = certificate(faultCertificate);
  }

  /**
   * Adds a timestamp and one signature over Body, timestamp, every X-Road header block and every
   * attachment.
   */
  void sign(Document document, List<Attachments.Part> attachments, Form form)
      throws WSSecurityException {
    WSSecHeader header = new WSSecHeader(document);
    header.insertSecurityHeader();
    WSSecTimestamp timestamp = new WSSecTimestamp(header);
    timestamp.setTimeToLive(SECONDS);
    timestamp.build();
    WSSecSignature signature = new WSSecSignature(header);
    signature.setUserInfo(ALIAS, "");
    signature.setKeyIdentifierType(KEY_REFERENCES.get(form.keyReference()));
    signature.setSignatureAlgorithm(algorithm);
    signature.setDigestAlgo(WSConstants.SHA256);
    Element envelope = document.getDocumentElement();
    for (Element part : partsToSign(envelope, header.getSecurityHeaderElement())) {
      signature.getParts().add(partOf(part));
    }
    if (form.signsToken()) {
      signature
          .getParts()
          .add(new WSEncryptionPart("STRTransform", WSConstants.WSSE_NS, "Element"));
    }
    if (!attachments.isEmpty()) {
      String extent = form.signsAttachmentHeaders() ? "Element" : "Content";
      signature.getParts().add(new WSEncryptionPart("cid:Attachments", extent));
      signature.setAttachmentCallbackHandler(Attachments.given(attachments));
    }
    signature.build(own);
  }

  /** Throws, unless `got` is the signed answer, or the signed fault, to what was sent. */
  void verify(HubClient.Message got, byte[] sentSoap, List<Attachments.Part> sentAttachments)
      throws WSSecurityException, GeneralSecurityException {
    Element envelope = got.soap().getDocumentElement();
    String soap = envelope.getNamespaceURI();
    Element header = only(envelope, soap, "Header");
    Element body = only(envelope, soap, "Body");
    List<Element> faults = children(body, soap, "Fault");
    X509Certificate expected = faults.isEmpty() ? answerSigner : faultSigner;
    // (1) The signature holds, by methods that are strong, under the key of whom we expect.
    List<WSSecurityEngineResult> results =
        new WSSecurityEngine()
            .processSecurityHeader(got.soap(), checks(expected, got.attachments()))
            .getActionResults()
            .getOrDefault(WSConstants.SIGN, List.of());
    require(results.size() == 1, results.size() + " signatures; expected one");
    Object signer = results.get(0).get(WSSecurityEngineResult.TAG_X509_CERTIFICATE);
    require(expected.equals(signer), "signed by somebody else than we expect");
    // (2) Body, timestamp and X-Road headers, as they stand, and each attachment are what the
    // signature is about.
    List<Object> signed = new ArrayList<>();
    for (Object found : (List<?>) results.get(0).get(WSSecurityEngineResult.TAG_DATA_REF_URIS)) {
      WSDataRef part = (WSDataRef) found;
      signed.add(part.isAttachment() ? part.getWsuId() : part.getProtectedElement());
    }
    for (Element part : partsToSign(envelope, only(header, WSConstants.WSSE_NS, "Security"))) {
      boolean isSigned = signed.stream().anyMatch(one -> one == part);
      require(isSigned, part.getTagName() + " is not signed where it stands");
    }
    for (Attachments.Part attachment : got.attachments()) {
      boolean isSigned = signed.contains("cid:" + attachment.contentId());
      require(isSigned, "attachment " + attachment.contentId() + " is not signed");
    }
    // (3) It is about the request that we sent.
    byte[] digest =
        faults.isEmpty()
            ? MessageDigest.getInstance("SHA-512").digest(sentSoap)
            : Attachments.digest(sentSoap, sentAttachments);
    String named =
        faults.isEmpty()
            ? only(header, XROAD, "requestHash").getTextContent()
            : body.getElementsByTagNameNS(LIENTHONG, "requestDigest").item(0).getTextContent();
    String actual = Base64.getEncoder().encodeToString(digest);
    require(named.equals(actual), "an answer to another request");
  }

  private static RequestData checks(X509Certificate expected, List<Attachments.Part> attachments)
      throws GeneralSecurityException, WSSecurityException {
    KeyStore trusted = emptyStore();
    trusted.setCertificateEntry("expected", expected);
    Merlin crypto = new Merlin();
    crypto.setTrustStore(trusted);
    AlgorithmSuite strong = new AlgorithmSuite();
    strong.addSignatureMethod(RSA_SHA256);
    strong.addSignatureMethod(ECDSA_SHA256);
    strong.addDigestAlgorithm(WSConstants.SHA256);
    strong.addC14nAlgorithm(WSConstants.C14N_EXCL_OMIT_COMMENTS);
    strong.addTransformAlgorithm(WSConstants.C14N_EXCL_OMIT_COMMENTS);
    strong.addTransformAlgorithm(WSConstants.SWA_ATTACHMENT_CONTENT_SIG_TRANS);
    strong.addTransformAlgorithm(WSConstants.SWA_ATTACHMENT_COMPLETE_SIG_TRANS);
    RequestData data = new RequestData();
    data.setSigVerCrypto(crypto);
    data.setAlgorithmSuite(strong);
    data.setAttachmentCallbackHandler(Attachments.given(attachments));
    return data;
  }

  private static List<Element> partsToSign(Element envelope, Element security) {
    Element header = only(envelope, envelope.getNamespaceURI(), "Header");
    List<Element> parts = new ArrayList<>(children(header, XROAD, "*"));
    parts.add(only(envelope, envelope.getNamespaceURI(), "Body"));
    parts.add(only(security, WSConstants.WSU_NS, "Timestamp"));
    return parts;
  }

  private static WSEncryptionPart partOf(Element element) {
    WSEncryptionPart part =
        new WSEncryptionPart(element.getLocalName(), element.getNamespaceURI(), "Element");
    part.setElement(element);
    return part;
  }

  static List<Element> children(Element parent, String namespace, String name) {
    List<Element> found = new ArrayList<>();
    for (Node node = parent.getFirstChild(); node != null; node = node.getNextSibling()) {
      boolean isNamed = name.equals("*") || name.equals(node.getLocalName());
      if (node instanceof Element && namespace.equals(node.getNamespaceURI()) && isNamed) {
        found.add((Element) node);
      }
    }
    return found;
  }

  static Element only(Element parent, String namespace, String name) {
    List<Element> found = children(parent, namespace, name);
    require(found.size() == 1, name + " stands " + found.size() + " times; expected once");
    return found.get(0);
  }

  private static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new SecurityException(otherwise);
    }
  }

  private static KeyStore emptyStore() throws GeneralSecurityException {
    try {
      KeyStore store = KeyStore.getInstance("PKCS12");
      store.load(null, null);
      return store;
    } catch (IOException error) {
      throw new IllegalStateException(error); // nothing was read
    }
  }

  private static X509Certificate certificate(Path pem)
      throws GeneralSecurityException, IOException {
    try (var stream = Files.newInputStream(pem)) {
      return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(stream);
    }
  }

  private static PrivateKey privateKey(Path pem) throws GeneralSecurityException, IOException {
    String text = Files.readString(pem, StandardCharsets.US_ASCII);
    String inside = text.replaceAll("-----[A-Z ]+-----", "");
    PKCS8EncodedKeySpec encoded = new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(inside));
    try {
      return KeyFactory.getInstance("RSA").generatePrivate(encoded);
    } catch (InvalidKeySpecException notRsa) {
      return KeyFactory.getInstance("EC").generatePrivate(encoded);
    }
  }
}
