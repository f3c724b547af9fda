#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <png.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "errors.h"
#include "images.h"
#include "latents.h"

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
  for (const int channels : {1, 3}) {
    Picture picture{{2, 3, channels}, {}};
    for (std::size_t i = 0; i < picture.shape.size(); ++i) {
      picture.pixels.push_back(static_cast<std::uint8_t>(i * 13));
    }
    const auto content = encode_png(picture);
    png_image header = {};
    header.version = PNG_IMAGE_VERSION;
    REQUIRE(png_image_begin_read_from_memory(&header, content.data(), content.size()) != 0);
    header.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    CHECK(header.width == 3);
    CHECK(header.height == 2);
    std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(header));
    REQUIRE(png_image_finish_read(&header, nullptr, pixels.data(), 0, nullptr) != 0);
    CHECK(pixels == picture.pixels);
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
