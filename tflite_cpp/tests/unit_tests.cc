#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "benchmark.h"
#include "bounds.h"
#include "files.h"
#include "images.h"
#include "jaxgan/latents.h"
#include "names.h"
#include "npy.h"
#include "numbers.h"
#include "sampling.h"
#include "sha256.h"

using namespace jaxgan;
namespace fs = std::filesystem;

namespace {

// An empty folder that goes away with the test.
struct Folder {
  Folder() : path(fs::temp_directory_path() / "jaxgan-unit-tests") {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

std::string text(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("latents equal the vectors that JAX made, to 2e-6") {
  // tests/latents.txt may change only with JAX's own random numbers; a Python test watches that.
  std::ifstream file(JAXGAN_VECTORS);
  REQUIRE(file.is_open());
  int vectors = 0;
  for (std::string line; std::getline(file, line); ++vectors) {
    std::istringstream words(line);
    std::uint32_t seed = 0, index = 0;
    words >> seed >> index;
    std::vector<float> expected, got(64);
    for (float value = 0; words >> value;) expected.push_back(value);
    REQUIRE(expected.size() == got.size());
    latent(seed, index, got.size(), got.data());
    for (std::size_t i = 0; i < got.size(); ++i) {
      CAPTURE(seed);
      CAPTURE(index);
      CAPTURE(i);
      CHECK(std::abs(got[i] - expected[i]) <= 2e-6f);
    }
  }
  CHECK(vectors == 12);
}

TEST_CASE("a latent vector of another length begins with the same numbers") {
  float shorter[3], longer[64];
  latent(7, 5, 3, shorter);
  latent(7, 5, 64, longer);
  for (int i = 0; i < 3; ++i) CHECK(shorter[i] == longer[i]);
}

TEST_CASE("latents are standard normal") {
  constexpr int kCount = 20000;
  double sum = 0, squares = 0;
  std::vector<float> values(kCount);
  latent(1, 0, values.size(), values.data());
  for (const float value : values) {
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  // Five standard errors: 5 / sqrt(n) of the mean, 5 * sqrt(2 / n) of the variance.
  CHECK(std::abs(sum / kCount) < 5 / std::sqrt(kCount));
  CHECK(std::abs(squares / kCount - 1) < 5 * std::sqrt(2.0 / kCount));
}

TEST_CASE("labels: one, a list, every class, none") {
  using Labels = std::vector<std::int32_t>;
  CHECK(parse_labels("3", 10) == Labels{3});
  CHECK(parse_labels("3,1,4", 10) == Labels{3, 1, 4});
  CHECK(parse_labels(std::nullopt, 3) == Labels{0, 1, 2});
  CHECK(parse_labels(std::nullopt, 0).empty());
  for (const char* wrong : {"", "10", "-1", "3,", ",3", "3;1", "x", "3 1", "99999999999999999999"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_labels(wrong, 10), UsageError);
  }
  CHECK_THROWS_AS(parse_labels("0", 0), UsageError);
}

TEST_CASE("labels by name: as it is, in another case, or the number; digits of a name are a name") {
  using Labels = std::vector<std::int32_t>;
  const Names names = {"cat", "Dog", "DOG", "0", "salt, pepper", "salt", "h\xc3\xa9ros"};
  CHECK(parse_labels("cat", 7, names) == Labels{0});
  CHECK(parse_labels("CAT,Dog,DOG", 7, names) == Labels{0, 1, 2});
  CHECK(parse_labels("0,1,6", 7, names) == Labels{3, 1, 6});
  CHECK(parse_labels("salt,salt, pepper,cat", 7, names) == Labels{5, 4, 0});
  CHECK(parse_labels("h\xc3\xa9ros", 7, names) == Labels{6});
  CHECK(parse_labels(std::nullopt, 7, names) == Labels{0, 1, 2, 3, 4, 5, 6});
  for (const char* wrong : {"", "dog", "7", "cat,", "cat, Dog", "pepper", "salt,pepper", "cats"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_labels(wrong, 7, names), UsageError);
  }
  const Names few = {"cat", "cot", "pepper"};
  CHECK_THROWS_WITH_AS(parse_labels("cat,PEPER", 3, few),
                       "--label: expected names of classes, or numbers from 0 to 2, separated by "
                       "commas, got 'PEPER' (did you mean 'pepper'?); the names are: cat, cot, "
                       "pepper",
                       UsageError);
}

TEST_CASE("names of classes are one a line, differ, and can be shown") {
  Names names;
  CHECK(read_names("a\nb c\n\xf0\x9f\x90\xb1", 3, names).empty());
  CHECK(names == Names{"a", "b c", "\xf0\x9f\x90\xb1"});
  const std::string longest(kMaxClassName, 'x');
  CHECK(read_names(longest, 1, names).empty());
  for (const std::string& wrong :
       {std::string(), std::string("a"), std::string("a\nb\nc"), std::string("a\n"),
        std::string("a\na"), std::string("a\nb\x1b"), std::string("a\n\xc2\x9b"),
        std::string("a\n\xff"), std::string("a\n\xc3"), std::string("a\n\xe0\x80\x80"),
        std::string("a\n\xed\xa0\x80"), "a\n" + longest + "x",
        "a\n" + std::string(kMaxClassNames, 'x')}) {
    CAPTURE(wrong.substr(0, 20));
    CHECK(!read_names(wrong, 2, names).empty());
  }
  CHECK(list_of({"a", "b"}) == "a, b");
  CHECK(list_of({"a", longest, "b"}) == "a, ...");
}

TEST_CASE("of four channels, colours are divided by their alpha and rounded once") {
  const float none = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> values = {0.0f,  -1.0f, -1.0f, 0.0f,    // half of full red
                                     -0.99f, -1.0f, -1.0f, -0.98f,  // at 2.55 levels of alpha
                                     1.0f,  0.0f,  -1.0f, 0.0f,    // a colour above its alpha
                                     1.0f,  1.0f,  1.0f,  -0.9965f,  // alpha below half a level
                                     0.0f,  none,  0.0f,  none};
  std::vector<std::uint8_t> levels(values.size());
  to_levels(values.data(), 5, 4, levels.data());
  CHECK(levels == std::vector<std::uint8_t>{255, 0, 0, 128, 128, 0, 0, 3, 255, 255, 0, 128,
                                            0,   0, 0, 0,   0,   0, 0, 0});
  to_levels(values.data(), 2, 3, levels.data());
  CHECK(levels[0] == 128);
  CHECK(levels[3] == 128);
}

TEST_CASE("levels: -1 is black, 1 is white, the nearest between, clipped outside") {
  CHECK(to_level(-1.0f) == 0);
  CHECK(to_level(1.0f) == 255);
  CHECK(to_level(0.0f) == 128);  // 127.5, to even
  CHECK(to_level(-0.5f) == 64);  // 63.75
  CHECK(to_level(-7.0f) == 0);
  CHECK(to_level(7.0f) == 255);
  CHECK(to_level(std::numeric_limits<float>::quiet_NaN()) == 0);
}

TEST_CASE("a grid lays pictures out row by row and leaves the rest black") {
  // Three pictures of 1x2 grey pixels in two columns.
  const Picture sheet = grid({1, 2, 3, 4, 5, 6}, {1, 2, 1}, 3, 2);
  CHECK(sheet.shape.height == 2);
  CHECK(sheet.shape.width == 4);
  CHECK(sheet.pixels == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 0, 0});
}

TEST_CASE("a grid keeps the channels of a pixel together") {
  // Two pictures of 2x1 pixels of three channels, side by side.
  const Picture sheet = grid({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {2, 1, 3}, 2, 2);
  CHECK(sheet.pixels == std::vector<std::uint8_t>{1, 2, 3, 7, 8, 9, 4, 5, 6, 10, 11, 12});
}

TEST_CASE("a grid too large for a PNG is refused") {
  CHECK_NOTHROW(check_grid({28, 28, 1}, 35714, 1));
  CHECK_THROWS_AS(check_grid({28, 28, 1}, 35715, 1), UsageError);
  CHECK_THROWS_AS(check_grid({1, 4096, 1}, 1000000, 1000000), UsageError);
}

TEST_CASE("a PNG gives back its pixels") {
  for (const int channels : {1, 3, 4}) {
    Picture picture{{2, 3, channels}, {}};
    for (std::size_t i = 0; i < picture.shape.size(); ++i) {
      picture.pixels.push_back(static_cast<std::uint8_t>(i * 13));
    }
    const auto content = encode_png(picture, {{"one", "1"}, {"two", ""}, {"three", "h\xc3\xa9"}});
    png_image header = {};
    header.version = PNG_IMAGE_VERSION;
    REQUIRE(png_image_begin_read_from_memory(&header, content.data(), content.size()) != 0);
    header.format = channels == 1 ? PNG_FORMAT_GRAY : channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_RGBA;
    CHECK(header.width == 3);
    CHECK(header.height == 2);
    std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(header));
    REQUIRE(png_image_finish_read(&header, nullptr, pixels.data(), 0, nullptr) != 0);
    CHECK(pixels == picture.pixels);
    CHECK(read_texts(content, "x") == Texts{{"one", "1"}, {"two", ""}, {"three", "h\xc3\xa9"}});
    for (std::size_t i = 0; i < content.size(); ++i) {
      Bytes damaged(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(i));
      CHECK_THROWS_AS(read_texts(damaged, "x"), UsageError);  // cut off
      damaged = content;
      damaged[i] ^= 0x10u;
      CHECK_THROWS_AS(read_texts(damaged, "x"), UsageError);  // every byte is checked
    }
  }
}

TEST_CASE("a file is written whole, over an older one, into a new folder") {
  const Folder folder;
  const fs::path file = folder.path / "new" / "file.bin";
  write_whole(file.string(), {'a', 'b'});
  CHECK(text(file) == "ab");
  write_whole(file.string(), {'c'});
  CHECK(text(file) == "c");
  CHECK(entries(file.parent_path()) == 1);
}

TEST_CASE("a file that cannot be written leaves nothing behind") {
  const Folder folder;
  fs::create_directories(folder.path / "taken" / "inside");
  CHECK_THROWS_AS(write_whole((folder.path / "taken").string(), {'a'}), OutputError);
  CHECK(entries(folder.path) == 1);
  std::ofstream(folder.path / "file") << "kept";
  CHECK_THROWS_AS(write_whole((folder.path / "file" / "below").string(), {'a'}), OutputError);
  CHECK(text(folder.path / "file") == "kept");
}

TEST_CASE("a link to a device is not replaced, a dangling one is") {
  const Folder folder;
  const fs::path device = folder.path / "device", nowhere = folder.path / "nowhere";
  fs::create_symlink("/dev/null", device);
  fs::create_symlink(folder.path / "none", nowhere);
  CHECK_THROWS_WITH_AS(write_whole(device.string(), {'a'}), doctest::Contains("no regular file"),
                       OutputError);
  CHECK(fs::is_symlink(device));
  write_whole(nowhere.string(), {'a'});
  CHECK(text(nowhere) == "a");
}

TEST_CASE("SHA-256 of the standard's examples") {
  CHECK(sha256("", 0) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc", 3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string million(1000000, 'a');
  CHECK(sha256(million.data(), million.size()) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  // The rest of a block of every length, against the same bytes in two ways: no length repeats.
  std::vector<std::string> digests;
  for (std::size_t size = 0; size < 130; ++size) digests.push_back(sha256(million.data(), size));
  std::sort(digests.begin(), digests.end());
  CHECK(std::unique(digests.begin(), digests.end()) == digests.end());
}

TEST_CASE("truncated latents stay within the bound, and go over into ordinary ones") {
  constexpr std::size_t kCount = 20000;
  std::vector<float> ordinary(kCount), truncated(kCount), wide(kCount);
  latent(3, 1, kCount, ordinary.data());
  latent(3, 1, kCount, truncated.data(), 0.7);
  latent(3, 1, kCount, wide.data(), 10.0);
  double squares = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    CHECK(std::abs(truncated[i]) <= 0.7f);
    CHECK((truncated[i] < 0) == (ordinary[i] < 0));
    CHECK(std::abs(wide[i] - ordinary[i]) < 1e-5f);
    squares += static_cast<double>(truncated[i]) * truncated[i];
  }
  // Variance of a normal truncated to [-a, a]: 1 - 2 a phi(a) / (2 Phi(a) - 1).
  const double a = 0.7, phi = std::exp(-a * a / 2) / std::sqrt(2 * 3.141592653589793);
  const double expected = 1 - 2 * a * phi / std::erf(a / std::sqrt(2));
  CHECK(std::abs(squares / kCount - expected) < 0.01 * expected + 0.002);
}

TEST_CASE("interpolation keeps to the arc between two vectors") {
  const float x[2] = {3, 0}, y[2] = {0, 3}, back[2] = {-3, 0};
  float got[2];
  interpolate(x, y, 0.5, 2, got);
  CHECK(got[0] == doctest::Approx(3 / std::sqrt(2)));
  CHECK(got[1] == doctest::Approx(3 / std::sqrt(2)));
  interpolate(x, y, 1.0 / 3, 2, got);  // 30 degrees
  CHECK(got[1] == doctest::Approx(1.5));
  for (const float* other : {y, x, back}) {
    interpolate(x, other, 0, 2, got);
    CHECK(got[0] == doctest::Approx(3));
    interpolate(x, other, 1, 2, got);
    CHECK(got[0] == doctest::Approx(other[0]).epsilon(1e-6));
    CHECK(got[1] == doctest::Approx(other[1]).epsilon(1e-6));
  }
  const float none[2] = {0, 0};
  interpolate(none, y, 0.5, 2, got);
  CHECK(got[1] == doctest::Approx(1.5));
}

TEST_CASE("seeds: one, lists, ranges, in order") {
  using Seeds = std::vector<std::uint32_t>;
  CHECK(parse_seeds("7") == Seeds{7});
  CHECK(parse_seeds("1,5,9-12") == Seeds{1, 5, 9, 10, 11, 12});
  CHECK(parse_seeds("7,7,3") == Seeds{7, 7, 3});
  CHECK(parse_seeds("4294967294-4294967295") == Seeds{4294967294u, 4294967295u});
  CHECK(parse_seeds("0-999999").size() == 1000000);
  for (const char* wrong : {"", "x", "1,", ",1", "5-3", "1-", "-1", "1--2", "4294967296", "0-1000000",
                            "1 2", "1-2-3", "0-999999,1", "0x10"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_seeds(wrong), UsageError);
  }
}

TEST_CASE("whole numbers are plain decimals within bounds") {
  std::uint32_t value = 7;
  CHECK(read_whole("0", 0, 4294967295, value).empty());
  CHECK(value == 0);
  CHECK(read_whole("4294967295", 0, 4294967295, value).empty());
  CHECK(value == 4294967295u);
  CHECK(read_whole("00000000000010", 1, 20, value).empty());  // no octal number
  CHECK(value == 10);
  CHECK(read_whole("0", 1, 20, value) == "expected 1 to 20, got 0");
  CHECK(read_whole("", 1, 20, value) == "expected 1 to 20, got nothing");
  for (const char* wrong : {"21", "-1", "+5", "0x10", "1_0", "1.", " 1", "1 ", "4294967297", "x"}) {
    CAPTURE(wrong);
    CHECK(!read_whole(wrong, 1, 20, value).empty());
  }
}

TEST_CASE("latents go into an .npy file and come back; other files are refused") {
  const Folder folder;
  const std::string file = (folder.path / "l.npy").string();
  std::vector<float> values(3 * 4);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 7;
  const Bytes content = encode_npy(values.data(), 48, "<f4", {3, 4});
  CHECK(content.size() % 64 == 48);
  write_whole(file, content);
  const Matrix matrix = read_latents(file, 4);
  CHECK(matrix.rows == 3);
  CHECK(matrix.values == values);
  CHECK(matrix.sha256 == sha256(content.data(), content.size()));

  const auto refused = [&](const Bytes& bytes) {
    write_whole(file, bytes);
    CHECK_THROWS_AS(read_latents(file, 4), UsageError);
  };
  CHECK_THROWS_AS(read_latents(file, 5), UsageError);
  CHECK_THROWS_AS(read_latents((folder.path / "none").string(), 4), UsageError);
  for (std::size_t i = 0; i < content.size(); ++i) {
    refused({content.begin(), content.begin() + static_cast<std::ptrdiff_t>(i)});
  }
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string whole(content.begin(), content.end());
    whole.replace(whole.find(from), from.size(), to);
    return Bytes(whole.begin(), whole.end());
  };
  refused(changed("<f4", ">f4"));
  refused(changed("<f4", "|O4"));
  refused(changed("False", "True "));
  refused(changed("(3, 4)", "(4, 3)"));
  refused(changed("(3, 4)", "(9, 4)"));
  refused(changed("(3, 4)", "(0, 4)"));
  refused(changed("(3, 4)", "(3,4"));
  refused(changed("'shape'", "'shame'"));
  Bytes infinite = content;
  std::fill(infinite.end() - 4, infinite.end(), std::uint8_t{0xFF});
  refused(infinite);
  Bytes longer = content;
  longer.push_back(0);
  refused(longer);
}

TEST_CASE("a benchmark's rows as table, CSV and JSON") {
  BenchmarkRow row;
  row.threads = 2;
  row.batch = 64;
  row.mean = 0.004;
  CHECK(row.images_per_second() == doctest::Approx(16000));
  const std::string csv = benchmark_text({row}, "csv", "m");
  CHECK(csv.find("threads,batch,load_ms") == 0);
  CHECK(csv.find("\n2,64,0.00") != std::string::npos);
  const std::string json = benchmark_text({row}, "json", "a \"b\"\n");
  CHECK(json.find("\"model\": \"a \\\"b\\\"\\u000a\"") != std::string::npos);
  CHECK(json.find("\"images_per_second\": 16000") != std::string::npos);
  const std::string table = benchmark_text({row, row}, "table", "m");
  CHECK(std::count(table.begin(), table.end(), '\n') == 3);
}

TEST_CASE("another runtime library than there is, is refused") {
  GeneratorOptions options;
  options.runtime = "/nowhere/library";  // LiteRT is not found, TensorFlow Lite takes no other
  CHECK_THROWS_WITH_AS(runtime_description(options), doctest::Contains("/nowhere/library"), Error);
  CHECK(!runtime_description().empty());
}
