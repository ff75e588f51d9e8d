// One signed request of WSS4J, the library below CXF, Axis 2 and Spring-WS: its bytes go to
// standard output. Arguments: unsigned envelope, PKCS#12 file, password, moment, key reference.
import java.io.File;
import java.io.PrintStream;
import java.time.Instant;
import java.util.Properties;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.OutputKeys;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.apache.wss4j.common.WSEncryptionPart;
import org.apache.wss4j.common.crypto.Crypto;
import org.apache.wss4j.common.crypto.CryptoFactory;
import org.apache.wss4j.common.util.WSTimeSource;
import org.apache.wss4j.dom.WSConstants;
import org.apache.wss4j.dom.engine.WSSConfig;
import org.apache.wss4j.dom.message.WSSecHeader;
import org.apache.wss4j.dom.message.WSSecSignature;
import org.apache.wss4j.dom.message.WSSecTimestamp;
import org.w3c.dom.Document;

public class Wss4jRequest {
  static final String SOAP = "http://schemas.xmlsoap.org/soap/envelope/";
  static final String XROAD = "http://x-road.eu/xsd/xroad.xsd";
  static final String[] BLOCKS =
      {"client", "service", "userId", "id", "issue", "protocolVersion"};

  public static void main(String[] words) throws Exception {
    WSSConfig.init();
    Instant moment = Instant.parse(words[3]);
    DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
    factory.setNamespaceAware(true);
    Document document = factory.newDocumentBuilder().parse(new File(words[0]));
    WSSecHeader header = new WSSecHeader(document);
    header.insertSecurityHeader();
    timestamp(header, moment);
    sign(document, header, crypto(words[1], words[2]), words[2], words[4]);
    var transformer = TransformerFactory.newInstance().newTransformer();
    transformer.setOutputProperty(OutputKeys.ENCODING, "UTF-8");
    transformer.transform(new DOMSource(document), new StreamResult(new PrintStream(System.out)));
  }

  static void timestamp(WSSecHeader header, Instant moment) throws Exception {
    WSSecTimestamp timestamp = new WSSecTimestamp(header);
    timestamp.setTimeToLive(300);
    timestamp.setWsTimeSource(
        new WSTimeSource() {
          public Instant now() {
            return moment;
          }
        });
    timestamp.build();
  }

  static Crypto crypto(String file, String password) throws Exception {
    Properties properties = new Properties();
    properties.put("org.apache.wss4j.crypto.provider", "org.apache.wss4j.common.crypto.Merlin");
    properties.put("org.apache.wss4j.crypto.merlin.keystore.type", "PKCS12");
    properties.put("org.apache.wss4j.crypto.merlin.keystore.file", file);
    properties.put("org.apache.wss4j.crypto.merlin.keystore.password", password);
    return CryptoFactory.getInstance(properties);
  }

  static void sign(
      Document document, WSSecHeader header, Crypto crypto, String password, String reference)
      throws Exception {
    WSSecSignature signature = new WSSecSignature(header);
    signature.setUserInfo("member", password);
    signature.setDigestAlgo(WSConstants.SHA256);
    signature.setAddInclusivePrefixes(true);
    signature.setKeyIdentifierType(
        switch (reference) {
          case "direct" -> WSConstants.BST_DIRECT_REFERENCE;
          case "issuer-serial" -> WSConstants.ISSUER_SERIAL;
          case "subject-key-identifier" -> WSConstants.SKI_KEY_IDENTIFIER;
          case "thumbprint" -> WSConstants.THUMBPRINT_IDENTIFIER;
          case "embedded-certificate" -> WSConstants.X509_KEY_IDENTIFIER;
          default -> throw new IllegalArgumentException(reference);
        });
    for (String block : BLOCKS) {
      signature.getParts().add(new WSEncryptionPart(block, XROAD, "Content"));
    }
    signature.getParts().add(new WSEncryptionPart("Timestamp", WSConstants.WSU_NS, "Content"));
    signature.getParts().add(new WSEncryptionPart("Body", SOAP, "Content"));
    String key = crypto.getX509Certificates(
        new org.apache.wss4j.common.crypto.CryptoType(
            org.apache.wss4j.common.crypto.CryptoType.TYPE.ALIAS) {{ setAlias("member"); }})[0]
        .getPublicKey().getAlgorithm();
    signature.setSignatureAlgorithm(
        key.equals("EC") ? "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
            : WSConstants.RSA_SHA256);
    signature.build(crypto);
  }
}
