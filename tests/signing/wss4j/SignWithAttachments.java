// One message with attachments as WSS4J signs it, for the vectors beside this file. Arguments: form
// (content, complete, mtom, token-in-attachment), unsigned envelope, PKCS#12 file with the key
// `member`, its password, moment, folder to write into. Needs WSS4J 3 and Angus Mail.
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import javax.security.auth.callback.Callback;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.OutputKeys;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.apache.wss4j.common.WSEncryptionPart;
import org.apache.wss4j.common.crypto.Crypto;
import org.apache.wss4j.common.crypto.CryptoFactory;
import org.apache.wss4j.common.ext.Attachment;
import org.apache.wss4j.common.ext.AttachmentRequestCallback;
import org.apache.wss4j.common.ext.AttachmentResultCallback;
import org.apache.wss4j.common.util.WSTimeSource;
import org.apache.wss4j.dom.WSConstants;
import org.apache.wss4j.dom.engine.WSSConfig;
import org.apache.wss4j.dom.message.WSSecHeader;
import org.apache.wss4j.dom.message.WSSecSignature;
import org.apache.wss4j.dom.message.WSSecTimestamp;
import org.w3c.dom.Document;

public final class SignWithAttachments {
  private static final String SOAP = "http://schemas.xmlsoap.org/soap/envelope/";
  private static final List<Attachment> ATTACHMENTS = new ArrayList<>();
  private static final Map<String, byte[]> CONTENTS = new HashMap<>();

  private SignWithAttachments() {}

  public static void main(String[] words) throws Exception {
    WSSConfig.init();
    String form = words[0];
    boolean isOptimised = form.equals("mtom") || form.equals("token-in-attachment");
    attach("pdf@example.vn", "application/pdf", "%PDF-1.7\n\r\u0000\u00ff", "Content-Disposition",
        "attachment; filename=\"Ho So.PDF\"; size=12", "Content-Transfer-Encoding", "binary");
    if (!isOptimised) {
      attach("text@example.vn", "text/plain; charset=UTF-8", "a\nb\r\nc\rd\n\r\n",
          "Content-Description", "=?UTF-8?Q?H=E1=BB=93_s=C6=A1?= (comment)");
      attach("xml@example.vn", "Application/XML; Charset=utf-8; name=\"a \\\"b\\\" c.xml\"",
          "<?xml version=\"1.0\"?>\n<a  b='1' xmlns:x=\"urn:x\"><c/>\u00e9</a>\n",
          "Content-Location", "a.xml");
    }
    DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
    factory.setNamespaceAware(true);
    Document document = factory.newDocumentBuilder().parse(new File(words[1]));
    WSSecHeader header = new WSSecHeader(document);
    header.insertSecurityHeader();
    timestamp(header, Instant.parse(words[4]));
    WSSecSignature signature = new WSSecSignature(header);
    signature.setUserInfo("member", words[3]);
    signature.setDigestAlgo(WSConstants.SHA256);
    signature.setSignatureAlgorithm(WSConstants.RSA_SHA256);
    signature.setKeyIdentifierType(WSConstants.BST_DIRECT_REFERENCE);
    signature.setAttachmentCallbackHandler(SignWithAttachments::answer);
    signature.setExpandXopInclude(isOptimised);
    signature.setStoreBytesInAttachment(form.equals("token-in-attachment"));
    signature.getParts().add(new WSEncryptionPart("Timestamp", WSConstants.WSU_NS, "Content"));
    signature.getParts().add(new WSEncryptionPart("Body", SOAP, "Content"));
    if (!isOptimised) {
      String modifier = form.equals("complete") ? "Element" : "Content";
      signature.getParts().add(new WSEncryptionPart("cid:Attachments", modifier));
    }
    signature.build(crypto(words[2], words[3]));
    write(document, new File(words[5]));
  }

  private static void attach(String id, String type, String content, String... headers) {
    Attachment attachment = new Attachment();
    attachment.setId(id);
    attachment.setMimeType(type);
    attachment.addHeader("Content-ID", "<" + id + ">");
    attachment.addHeader("Content-Type", type);
    for (int place = 0; place < headers.length; place += 2) {
      attachment.addHeader(headers[place], headers[place + 1]);
    }
    ATTACHMENTS.add(attachment);
    CONTENTS.put(id, content.getBytes(StandardCharsets.UTF_8));
  }

  private static void answer(Callback[] callbacks) throws IOException {
    for (Callback callback : callbacks) {
      if (callback instanceof AttachmentRequestCallback) {
        AttachmentRequestCallback request = (AttachmentRequestCallback) callback;
        List<Attachment> found = new ArrayList<>();
        for (Attachment one : ATTACHMENTS) {
          String asked = request.getAttachmentId();
          if (asked.equals("Attachments") || asked.equals(one.getId())) {
            one.setSourceStream(new ByteArrayInputStream(CONTENTS.get(one.getId())));
            found.add(one);
          }
        }
        request.setAttachments(found);
      } else {
        Attachment result = ((AttachmentResultCallback) callback).getAttachment();
        if (!CONTENTS.containsKey(result.getId())) {
          CONTENTS.put(result.getId(), result.getSourceStream().readAllBytes());
          ATTACHMENTS.add(result);
        }
      }
    }
  }

  private static void timestamp(WSSecHeader header, Instant moment) throws Exception {
    WSSecTimestamp timestamp = new WSSecTimestamp(header);
    timestamp.setWsTimeSource(
        new WSTimeSource() {
          public Instant now() {
            return moment;
          }
        });
    timestamp.build();
  }

  private static Crypto crypto(String file, String password) throws Exception {
    Properties properties = new Properties();
    properties.put("org.apache.wss4j.crypto.provider", "org.apache.wss4j.common.crypto.Merlin");
    properties.put("org.apache.wss4j.crypto.merlin.keystore.type", "PKCS12");
    properties.put("org.apache.wss4j.crypto.merlin.keystore.file", file);
    properties.put("org.apache.wss4j.crypto.merlin.keystore.password", password);
    return CryptoFactory.getInstance(properties);
  }

  /** The message, each content in a file of its own, and its headers as lines: name, tab, value. */
  private static void write(Document document, File folder) throws Exception {
    folder.mkdirs();
    try (OutputStream out = new FileOutputStream(new File(folder, "message.xml"))) {
      var transformer = TransformerFactory.newInstance().newTransformer();
      transformer.setOutputProperty(OutputKeys.ENCODING, "UTF-8");
      transformer.transform(new DOMSource(document), new StreamResult(out));
    }
    int number = 0;
    for (Attachment one : ATTACHMENTS) {
      String name = "attachment-" + number++;
      Files.write(new File(folder, name).toPath(), CONTENTS.get(one.getId()));
      try (PrintStream lines = new PrintStream(new File(folder, name + ".headers"), "UTF-8")) {
        lines.print("id\t" + one.getId() + "\ntype\t" + one.getMimeType() + "\n");
        one.getHeaders().forEach((key, value) -> lines.print(key + "\t" + value + "\n"));
      }
    }
  }
}
