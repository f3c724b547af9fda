#include "describe.h"

#include <algorithm>
#include <cstdio>

#include "bounds.h"
#include "files.h"
#include "images.h"
#include "names.h"

namespace jaxgan {
namespace {

// Text as it is where that keeps a line one; else all but printable ASCII as \x1b.
std::string printable(const std::string& text) {
  if (is_plain(text)) return text;
  std::string shown;
  for (const char letter : text) {
    char code[8];
    std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned char>(letter));
    shown += letter >= ' ' && letter <= '~' ? std::string(1, letter) : code;
  }
  return shown;
}

}  // namespace

std::string describe_model(const Generator& generator, const std::string& path) {
  static constexpr const char* kNames[] = {"version", "revision",    "dataset",  "seed",
                                           "step",    "latent_size", "classes",  "image_shape",
                                           "quantization"};
  std::string lines = path + ": " + std::to_string(generator.content().size()) + " bytes\n";
  for (const SignatureInfo& signature : generator.signatures()) {
    lines += signature.name + ":";
    for (const TensorInfo& input : signature.inputs) lines += "  " + input.text();
    lines += "  ->";
    for (const TensorInfo& output : signature.outputs) lines += "  " + output.text();
    lines += "\n";
  }
  for (const char* const name : kNames) {
    const auto text = generator.metadata(name);
    if (!text) continue;
    lines += std::string(name) + ": " + printable(text->substr(0, kMaxEntryShown));
    const bool named = name == std::string("classes") && !generator.class_names().empty();
    lines += named ? " (" + list_of(generator.class_names()) + ")\n" : "\n";
  }
  return lines;
}

std::string describe_picture(const std::string& path) {
  const std::string name = "--describe: " + path;
  const Texts texts = read_texts(read_input(path, kMaxPictureBytes, "--describe"), name);
  const bool ours = std::any_of(texts.begin(), texts.end(), [](const auto& entry) {
    return entry.first.rfind("jaxgan.", 0) == 0;
  });
  if (!ours) throw UsageError(name + " names no jaxgan model; expected a PNG of jaxgan");
  std::string lines;
  for (const auto& [keyword, text] : texts) {
    lines += printable(keyword) + ": " + printable(text) + "\n";
  }
  return lines;
}

}  // namespace jaxgan
