import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Document;

/** Show answers to the verification of docs/join/wss4j; print what it says to each. */
public final class VerifyAnswers {
  private VerifyAnswers() {}

  /** Key and certificate of the client, certificates of agency and hub, then folders of cases. */
  public static void main(String[] words) throws Exception {
    HeaderSigning signing =
        new HeaderSigning(
            Path.of(words[0]), Path.of(words[1]), Path.of(words[2]), Path.of(words[3]));
    DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
    factory.setNamespaceAware(true);
    for (int place = 4; place < words.length; place++) {
      Path folder = Path.of(words[place]);
      byte[] bytes = Files.readAllBytes(folder.resolve("answer.xml"));
      Document answer = factory.newDocumentBuilder().parse(new ByteArrayInputStream(bytes));
      String said = "believed";
      try {
        byte[] sent = Files.readAllBytes(folder.resolve("sent.xml"));
        signing.verify(new HubClient.Message(answer, List.of()), sent, List.of());
      } catch (Exception error) {
        said = error.getMessage();
      }
      System.out.println(folder.getFileName() + "\t" + said.replace('\n', ' '));
    }
  }
}
