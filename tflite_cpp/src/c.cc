#include "jaxgan/c.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jaxgan/generator.h"
#include "jaxgan/latents.h"
#include "names.h"
#include "sampling.h"
#include "sha256.h"
#include "verify.h"

using namespace jaxgan;

namespace {

// The signatures of a generator in C's form; it must outlive them.
class Signatures {
 public:
  explicit Signatures(const std::vector<SignatureInfo>& signatures) {
    for (const SignatureInfo& one : signatures) {
      const jaxgan_tensor* const inputs = add(one.inputs);
      const jaxgan_tensor* const outputs = add(one.outputs);
      list_.push_back(
          {one.name.c_str(), one.inputs.size(), inputs, one.outputs.size(), outputs});
    }
  }

  const std::vector<jaxgan_signature>& list() const noexcept { return list_; }

 private:
  const jaxgan_tensor* add(const std::vector<TensorInfo>& tensors) {
    std::vector<jaxgan_tensor> made;
    for (const TensorInfo& one : tensors) {
      made.push_back(
          {one.name.c_str(), one.type.c_str(), one.dimensions.size(), one.dimensions.data()});
    }
    tensors_.push_back(std::move(made));  // where its numbers lie, a move does not change
    return tensors_.back().data();
  }

  std::vector<std::vector<jaxgan_tensor>> tensors_;
  std::vector<jaxgan_signature> list_;
};

}  // namespace

struct jaxgan_generator {
  explicit jaxgan_generator(Generator&& opened)
      : generator(std::move(opened)), signatures(generator.signatures()) {}

  Generator generator;
  Signatures signatures;
  std::map<std::string, std::string> metadata;  // what was asked for: pointers into it are out
  std::string digest;                           // empty until it is asked for
};

struct jaxgan_sample {
  explicit jaxgan_sample(Sample&& chosen) : sample(std::move(chosen)) {
    for (const auto& [keyword, text] : sample.texts) {
      keywords.push_back(keyword.c_str());
      texts.push_back(text.c_str());
    }
  }

  Sample sample;
  std::vector<const char*> keywords, texts;
};

namespace {

// Writes a message of one line, cut between two letters of UTF-8 where it is too long.
void tell(jaxgan_error* error, const char* what) noexcept {
  if (error == nullptr) return;
  std::size_t size = std::strlen(what);
  if (size >= sizeof error->message) {
    size = sizeof error->message - 1;
    while (size > 0 && (static_cast<unsigned char>(what[size]) & 0xC0u) == 0x80u) --size;
  }
  std::transform(what, what + size, error->message, [](char letter) {
    const bool control = static_cast<unsigned char>(letter) < 0x20 || letter == 0x7F;
    return control ? '?' : letter;
  });
  error->message[size] = '\0';
}

// Does some work; what it throws becomes a status and a message.
template <typename Work>
jaxgan_status guarded(jaxgan_error* error, Work&& work) noexcept try {
  work();
  return JAXGAN_OK;
} catch (const Error& fault) {
  tell(error, fault.what());
  return fault.exit_code;
} catch (const std::bad_alloc&) {
  tell(error, "out of memory");
  return JAXGAN_OUTPUT;
} catch (const std::exception& fault) {
  tell(error, fault.what());
  return JAXGAN_FAULT;
} catch (...) {
  tell(error, "a fault that does not say why");
  return JAXGAN_FAULT;
}

void expect(const void* pointer, const char* what) {
  if (pointer == nullptr) throw UsageError(std::string("expected ") + what + ", got null");
}

GeneratorOptions options_of(const jaxgan_options* options) {
  GeneratorOptions made;
  if (options == nullptr) return made;
  made.threads = options->threads;
  made.verbose = options->verbose != 0;
  if (options->runtime != nullptr) made.runtime = options->runtime;
  return made;
}

std::string name_of(const char* name) { return name == nullptr ? "the model" : name; }

std::optional<std::string> optional(const char* text) {
  if (text == nullptr) return std::nullopt;
  return text;
}

SamplingOptions options_of(const jaxgan_sampling* sampling) {
  SamplingOptions made;
  if (sampling == nullptr) return made;
  made.seed = optional(sampling->seed);
  made.count = optional(sampling->count);
  made.seeds = optional(sampling->seeds);
  made.label = optional(sampling->label);
  made.latents = optional(sampling->latents);
  made.truncation = optional(sampling->truncation);
  made.interpolate = optional(sampling->interpolate);
  return made;
}

Names names_of(const char* text, int classes) {
  Names names;
  const std::string fault = text == nullptr ? "" : read_names(text, classes, names);
  if (!fault.empty()) throw UsageError("class names: " + fault);
  return names;
}

// Opens a generator by `make` and hands it over; null where that fails.
template <typename Make>
jaxgan_status open(jaxgan_generator** generator, jaxgan_error* error, Make&& make) noexcept {
  if (generator != nullptr) *generator = nullptr;
  return guarded(error, [&] {
    expect(generator, "a place for the generator");
    *generator = std::make_unique<jaxgan_generator>(make()).release();
  });
}

}  // namespace

int32_t jaxgan_c_version(void) { return JAXGAN_C_VERSION; }

jaxgan_status jaxgan_verify(const void* content, size_t size, const char* name,
                            jaxgan_error* error) {
  return guarded(error, [&] {
    if (size != 0) expect(content, "the bytes of a file");
    verify(static_cast<const char*>(content), size, name_of(name));
  });
}

jaxgan_status jaxgan_open(const char* path, const jaxgan_options* options,
                          jaxgan_generator** generator, jaxgan_error* error) {
  return open(generator, error, [&] {
    expect(path, "the path of a model");
    return Generator(path, options_of(options));
  });
}

jaxgan_status jaxgan_open_content(const void* content, size_t size, const char* name,
                                  const jaxgan_options* options, jaxgan_generator** generator,
                                  jaxgan_error* error) {
  return open(generator, error, [&] {
    if (size != 0) expect(content, "the bytes of a model");
    const char* const bytes = static_cast<const char*>(content);
    return Generator({bytes, bytes + size}, name_of(name), options_of(options));
  });
}

void jaxgan_close(jaxgan_generator* generator) { delete generator; }

jaxgan_info jaxgan_describe(const jaxgan_generator* generator) {
  const Generator& one = generator->generator;
  const Shape shape = one.image_shape();
  const StartTimes times = one.start_times();
  return {shape.height,
          shape.width,
          shape.channels,
          static_cast<int32_t>(one.latent_size()),
          one.classes(),
          one.content().size(),
          times.load,
          times.compile};
}

const jaxgan_signature* jaxgan_signatures(const jaxgan_generator* generator, size_t* count) {
  const std::vector<jaxgan_signature>& list = generator->signatures.list();
  if (count != nullptr) *count = list.size();
  return list.data();
}

const char* jaxgan_metadata(jaxgan_generator* generator, const char* name, size_t* size) {
  const std::string* found = nullptr;
  guarded(nullptr, [&] {
    expect(name, "the name of an entry");
    const std::optional<std::string> text = generator->generator.metadata(name);
    // What was asked for before stays where it is, as it is the same.
    if (text) found = &generator->metadata.emplace(name, *text).first->second;
  });
  if (size != nullptr) *size = found == nullptr ? 0 : found->size();
  return found == nullptr ? nullptr : found->c_str();
}

const char* jaxgan_sha256(jaxgan_generator* generator) {
  guarded(nullptr, [&] {
    const std::vector<char>& content = generator->generator.content();
    if (generator->digest.empty()) generator->digest = sha256(content.data(), content.size());
  });
  return generator->digest.c_str();
}

jaxgan_status jaxgan_runtime(const jaxgan_options* options, char* text, size_t size,
                             jaxgan_error* error) {
  return guarded(error, [&] {
    expect(text, "a place for the text");
    const std::string found = runtime_description(options_of(options));
    if (found.size() >= size) {
      throw UsageError("expected room for " + std::to_string(found.size() + 1) + " bytes, got " +
                       std::to_string(size));
    }
    std::memcpy(text, found.c_str(), found.size() + 1);
  });
}

jaxgan_status jaxgan_draw(jaxgan_generator* generator, const float* latents, const int32_t* labels,
                          size_t count, float* images, jaxgan_error* error) {
  return guarded(error, [&] {
    expect(generator, "a generator");
    if (count == 0) return;
    expect(latents, "latents");
    expect(images, "a place for the images");
    generator->generator.draw(latents, labels, count, images);
  });
}

jaxgan_status jaxgan_draw_between(jaxgan_generator* generator, const float* latents,
                                  const int32_t* labels, const int32_t* target_labels,
                                  const float* weights, size_t count, float* images,
                                  jaxgan_error* error) {
  return guarded(error, [&] {
    expect(generator, "a generator");
    if (count == 0) return;
    expect(latents, "latents");
    expect(labels, "labels");
    expect(target_labels, "target labels");
    expect(weights, "weights");
    expect(images, "a place for the images");
    generator->generator.draw_between(latents, labels, target_labels, weights, count, images);
  });
}

void jaxgan_to_levels(const float* values, size_t pixels, size_t channels, uint8_t* levels) {
  to_levels(values, pixels, channels, levels);
}

void jaxgan_latents(const uint32_t* seeds, const uint32_t* indices, size_t count, size_t size,
                    double truncation, float* latents) {
  for (size_t i = 0; i < count; ++i) {
    latent(seeds[i], indices[i], size, latents + i * size, truncation);
  }
}

jaxgan_status jaxgan_choose(const jaxgan_sampling* sampling, size_t latent_size, int32_t classes,
                            const char* names, jaxgan_sample** sample, jaxgan_error* error) {
  if (sample != nullptr) *sample = nullptr;
  return guarded(error, [&] {
    expect(sample, "a place for the sample");
    Sample chosen = choose(options_of(sampling), latent_size, classes, names_of(names, classes));
    *sample = std::make_unique<jaxgan_sample>(std::move(chosen)).release();
  });
}

jaxgan_sample_view jaxgan_view(const jaxgan_sample* sample) {
  const Sample& one = sample->sample;
  const bool labelled = !one.labels.empty();
  return {one.count,
          one.latents.data(),
          labelled ? one.labels.data() : nullptr,
          labelled ? one.target_labels.data() : nullptr,
          labelled ? one.weights.data() : nullptr,
          one.columns,
          one.texts.size(),
          sample->keywords.data(),
          sample->texts.data()};
}

void jaxgan_free(jaxgan_sample* sample) { delete sample; }

jaxgan_status jaxgan_draw_sample(jaxgan_generator* generator, const jaxgan_sample* sample,
                                 uint8_t* levels, jaxgan_error* error) {
  return guarded(error, [&] {
    expect(generator, "a generator");
    expect(sample, "a sample");
    expect(levels, "a place for the levels");
    draw(generator->generator, sample->sample, levels);
  });
}

jaxgan_status jaxgan_find_class(const char* text, int32_t classes, const char* names,
                                int32_t* label, jaxgan_error* error) {
  return guarded(error, [&] {
    expect(text, "the name of a class");
    expect(label, "a place for the label");
    if (classes < 1) throw UsageError("this model has no classes");
    const Names all = names_of(names, classes);
    const Classes known(classes, all);
    const std::optional<std::int32_t> found = known.find(text);
    if (!found) throw UsageError(known.fault(text));
    *label = *found;
  });
}
