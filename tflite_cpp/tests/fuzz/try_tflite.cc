#include <string>

#include "fuzz.h"
#include "jaxgan/generator.h"
#include "platform.h"
#include "sampling.h"

namespace jaxgan::fuzz {

// --info, then five images by signatures of several sizes, then some between classes.
int try_tflite(const Bytes& content) {
  return exit_code([&] {
    const QuietStderr quiet(true);
    Generator generator({content.begin(), content.end()}, "mutant");
    std::size_t letters = generator.content().size();
    for (const char* const name : {"version", "dataset", "classes", "image_shape"}) {
      letters += generator.metadata(name).value_or("").size();
    }
    for (const SignatureInfo& signature : generator.signatures()) {
      for (const TensorInfo& tensor : signature.inputs) letters += tensor.text().size();
    }
    if (letters == 0) throw std::logic_error("nothing to tell");
    SamplingOptions options;
    options.count = 5;
    draw(generator, choose(options, generator));
    options.count = 2;
    options.interpolate = 3;
    draw(generator, choose(options, generator));
  });
}

}  // namespace jaxgan::fuzz
