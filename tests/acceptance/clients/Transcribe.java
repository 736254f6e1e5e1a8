import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Sends a file twice with java.net.http's HttpClient and its defaults, and prints both answers, one a line. */
public class Transcribe {
    private static final String BOUNDARY = "java-boundary";

    public static void main(String[] arguments) throws Exception {
        URI endpoint = URI.create(arguments[0]);
        HttpClient client = HttpClient.newHttpClient();
        for (int time = 0; time < 2; time++) {
            HttpRequest request = HttpRequest.newBuilder(endpoint)
                .header("Content-Type", "multipart/form-data; boundary=" + BOUNDARY)
                .POST(form(Path.of(arguments[1]), arguments[2]))
                .build();
            var answer = client.send(request, BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.body());
        }
    }

    private static HttpRequest.BodyPublisher form(Path file, String model) throws Exception {
        String head = "--" + BOUNDARY + "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n" + model
            + "\r\n--" + BOUNDARY + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"speech.wav\"\r\n\r\n";
        String end = "\r\n--" + BOUNDARY + "--\r\n";
        return BodyPublishers.ofByteArrays(List.of(
            head.getBytes(StandardCharsets.UTF_8),
            Files.readAllBytes(file),
            end.getBytes(StandardCharsets.UTF_8)));
    }
}
