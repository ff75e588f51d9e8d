import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.w3c.dom.Document;
import org.w3c.dom.Element;

/**
 * Hand in a file of a dossier, signed with the message, and print the receipt that comes with the
 * answer.
 *
 * <pre>
 * java HandIn --wsdl …/nopTaiLieu/v1?wsdl … --journal 40-20-07778550100 de-nghi.pdf
 * </pre>
 *
 * <p>Options are those of {@link HubClient}. Ends with 1 if the hub or the agency says no.
 */
public final class HandIn {
  private HandIn() {}

  public static void main(String[] words) throws Exception {
    Map<String, String> asked = new HashMap<>(Map.of("user", "VN0000", "soap", "1.1"));
    asked.put("message-id", UUID.randomUUID().toString());
    int place = 0;
    for (; place < words.length && words[place].startsWith("--"); place += 2) {
      asked.put(words[place].substring(2), words[place + 1]);
    }
    Path file = Path.of(words[place]);
    String mediaType = Files.probeContentType(file);
    Attachments.Part paper =
        Attachments.Part.of("paper@example", mediaType, Files.readAllBytes(file));
    List<String> fields = new ArrayList<>();
    fields.add("in_journal_no=" + asked.get("journal"));
    fields.add("TaiLieu.Ten=" + file.getFileName());
    fields.add("TaiLieu.TepDinhKem=cid:" + paper.contentId());
    HeaderSigning signing =
        new HeaderSigning(
            Path.of(asked.get("key")),
            Path.of(asked.get("certificate")),
            Path.of(asked.get("agency-certificate")),
            Path.of(asked.get("hub-certificate")));
    HubClient client = new HubClient(asked.get("wsdl"));
    String soap = asked.get("soap").equals("1.2") ? HubClient.SOAP_12 : HubClient.SOAP_11;
    Document request = client.request(soap, asked, fields);
    signing.sign(request, List.of(paper), HeaderSigning.Form.USUAL);
    byte[] sent = HubClient.bytes(request);
    HubClient.Message answer = client.send(soap, sent, List.of(paper));
    signing.verify(answer, sent, List.of(paper)); // attachments of the answer, too
    Element body = HeaderSigning.only(answer.soap().getDocumentElement(), soap, "Body");
    if (!HeaderSigning.children(body, soap, "Fault").isEmpty()) {
      System.err.println(HubClient.faultText(body));
      System.exit(1);
    }
    byte[] receipt = answer.attachments().get(0).content();
    HubClient.OUT.println(new String(receipt, StandardCharsets.UTF_8));
  }
}
