#include "sampling.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <locale>
#include <numeric>
#include <sstream>

#include "bounds.h"
#include "jaxgan/latents.h"
#include "npy.h"
#include "numbers.h"
#include "sha256.h"

namespace jaxgan {
namespace {

// The images that options name before any interpolation.
struct Keys {
  std::size_t count = 0;
  std::vector<float> latents;
  std::string origin;  // for the PNG
};

// Reads a number at the start of a range of letters; returns where it ends, or null.
const char* number(const char* from, const char* end, std::uint32_t& value) {
  if (from == end || *from < '0' || *from > '9') return nullptr;
  const auto [rest, fault] = std::from_chars(from, end, value);
  return fault == std::errc() ? rest : nullptr;
}

// An option's whole number, another one where it is not given.
std::uint32_t whole(const char* option, const std::optional<std::string>& text,
                    std::uint32_t otherwise, std::uint32_t min, std::uint32_t max) {
  if (!text) return otherwise;
  std::uint32_t value = 0;
  const std::string fault = read_whole(*text, min, max, value);
  if (!fault.empty()) throw UsageError(std::string(option) + ": " + fault);
  return value;
}

double parse_truncation(const std::string& text) {
  const bool decimal = !text.empty() && text.back() != '.' &&
                       text.find_first_not_of("0123456789.") == std::string::npos;
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());  // whatever the program around us speaks
  double value = 0.0;
  stream >> value;
  if (!decimal || stream.fail() || !stream.eof() || !(value > 0.0) || value > kMaxTruncation) {
    throw UsageError("--truncation: expected a decimal number above 0 and at most " +
                     std::to_string(static_cast<int>(kMaxTruncation)) + ", got '" + text + "'");
  }
  return value;
}

void refuse_both(bool one, const char* name, bool other, const char* other_name) {
  if (one && other) {
    throw UsageError(std::string(name) + " and " + other_name +
                     " are mutually exclusive; leave one out");
  }
}

Keys seeded(const std::vector<std::uint32_t>& seeds, const std::vector<std::uint32_t>& indices,
            double truncation, std::size_t size) {
  Keys keys;
  keys.count = seeds.size();
  keys.latents.resize(keys.count * size);
  for (std::size_t i = 0; i < keys.count; ++i) {
    latent(seeds[i], indices[i], size, keys.latents.data() + i * size, truncation);
  }
  return keys;
}

Keys keys_of(const SamplingOptions& options, std::size_t size) {
  const bool file = options.latents.has_value(), list = options.seeds.has_value();
  refuse_both(list, "--seeds", options.seed.has_value(), "--seed");
  refuse_both(list, "--seeds", options.count.has_value(), "--count");
  refuse_both(file, "--latents", list, "--seeds");
  refuse_both(file, "--latents", options.seed.has_value(), "--seed");
  refuse_both(file, "--latents", options.count.has_value(), "--count");
  refuse_both(file, "--latents", options.truncation.has_value(), "--truncation");
  const double truncation = options.truncation ? parse_truncation(*options.truncation) : 0.0;
  Keys keys;
  if (file) {
    Matrix matrix = read_latents(*options.latents, size);
    keys = {matrix.rows, std::move(matrix.values), "file " + matrix.sha256};
  } else if (list) {
    const std::vector<std::uint32_t> seeds = parse_seeds(*options.seeds);
    keys = seeded(seeds, std::vector<std::uint32_t>(seeds.size(), 0), truncation, size);
    keys.origin = "seeds " + *options.seeds;
  } else {
    const std::uint32_t seed = whole("--seed", options.seed, 0, kMinSeed, kMaxSeed);
    std::vector<std::uint32_t> indices(whole("--count", options.count, 64, kMinCount, kMaxCount));
    std::iota(indices.begin(), indices.end(), 0u);
    keys = seeded(std::vector<std::uint32_t>(indices.size(), seed), indices, truncation, size);
    keys.origin =
        "seed " + std::to_string(seed) + ", images 0-" + std::to_string(indices.size() - 1);
  }
  if (options.truncation) keys.origin += ", truncation " + *options.truncation;
  return keys;
}

// Adds the images from one key to the next, both included.
void add_between(Sample& sample, const Keys& keys, std::size_t key, std::size_t frames,
                 std::size_t size, const std::vector<std::int32_t>& labels) {
  for (std::size_t frame = 0; frame < frames; ++frame) {
    const double t = static_cast<double>(frame) / static_cast<double>(frames - 1);
    const std::size_t end = sample.latents.size();
    sample.latents.resize(end + size);
    interpolate(keys.latents.data() + key * size, keys.latents.data() + (key + 1) * size, t, size,
                sample.latents.data() + end);
    if (labels.empty()) continue;
    const std::int32_t label = labels[key % labels.size()];
    const std::int32_t next = labels[(key + 1) % labels.size()];
    const bool last = frame == frames - 1;
    sample.labels.push_back(last ? next : label);
    sample.target_labels.push_back(frame == 0 ? label : next);
    sample.weights.push_back(static_cast<float>(t));
  }
}

void check_model(std::size_t latent_size, int classes) {
  if (latent_size < 1 || latent_size > kMaxLatent) {
    throw UsageError("expected a latent size of 1 to " + std::to_string(kMaxLatent) + ", got " +
                     std::to_string(latent_size));
  }
  if (classes < 0 || classes > kMaxClasses) {
    throw UsageError("expected 0 to " + std::to_string(kMaxClasses) + " classes, got " +
                     std::to_string(classes));
  }
}

void check_frames(std::size_t keys, std::size_t frames) {
  if (keys < 2) {
    throw UsageError("--interpolate: expected at least 2 images to go between, got 1; give a "
                     "larger --count, or --seeds 1,2");
  }
  if ((keys - 1) * frames > kMaxCount) {
    throw UsageError("--interpolate: " + std::to_string((keys - 1) * frames) +
                     " images, expected at most " + std::to_string(kMaxCount));
  }
}

// Labels as parse_labels reads them.
std::string joined(const std::vector<std::int32_t>& labels, const Names& names) {
  std::string text;
  for (const std::int32_t one : labels) {
    text += text.empty() ? "" : ",";
    text += names.empty() ? std::to_string(one) : names[static_cast<std::size_t>(one)];
  }
  return text;
}

}  // namespace

std::vector<std::int32_t> parse_labels(const std::optional<std::string>& text, int classes,
                                       const Names& names) {
  std::vector<std::int32_t> labels;
  if (!text) {
    labels.resize(static_cast<std::size_t>(classes));
    std::iota(labels.begin(), labels.end(), 0);
    return labels;
  }
  if (classes == 0) throw UsageError("--label: this model has no classes; leave the option out");
  const Classes known(classes, names);
  for (std::size_t start = 0; start <= text->size();) {
    std::vector<std::size_t> ends;  // of what may be a name
    for (std::size_t end = start; ends.size() <= known.max_commas() && end <= text->size(); ++end) {
      end = std::min(text->find(',', end), text->size());
      ends.push_back(end);
    }
    std::optional<std::int32_t> label;
    std::string shortest = text->substr(start, ends.front() - start);
    while (!label && !ends.empty()) {
      label = known.find(text->substr(start, ends.back() - start));
      if (!label) ends.pop_back();
    }
    if (!label) throw UsageError("--label: " + known.fault(names.empty() ? *text : shortest));
    labels.push_back(*label);
    start = ends.back() + 1;
  }
  return labels;
}

std::vector<std::uint32_t> parse_seeds(const std::string& text) {
  const auto fail = [&] {
    return UsageError("--seeds: expected seeds and ranges such as 1,5,9-12, each from 0 to " +
                      std::to_string(kMaxSeed) + ", at most " + std::to_string(kMaxCount) +
                      " in all, got '" + text + "'");
  };
  std::vector<std::uint32_t> seeds;
  const char* place = text.data();
  const char* const end = place + text.size();
  while (true) {
    std::uint32_t first = 0;
    const char* next = number(place, end, first);
    if (next == nullptr) throw fail();
    std::uint32_t last = first;
    if (next != end && *next == '-') next = number(next + 1, end, last);
    if (next == nullptr || last < first || last - first >= kMaxCount - seeds.size()) throw fail();
    for (std::uint64_t seed = first; seed <= last; ++seed) {
      seeds.push_back(static_cast<std::uint32_t>(seed));
    }
    if (next == end) return seeds;
    if (*next != ',' || seeds.size() == kMaxCount) throw fail();
    place = next + 1;
  }
}

Sample choose(const SamplingOptions& options, std::size_t latent_size, int classes,
              const Names& names) {
  check_model(latent_size, classes);
  const std::vector<std::int32_t> labels = parse_labels(options.label, classes, names);
  const std::size_t frames =
      whole("--interpolate", options.interpolate, 1, kMinInterpolate, kMaxInterpolate);
  Keys keys = keys_of(options, latent_size);
  Sample sample;
  if (options.interpolate) {
    check_frames(keys.count, frames);
    for (std::size_t key = 0; key + 1 < keys.count; ++key) {
      add_between(sample, keys, key, frames, latent_size, labels);
    }
    sample.columns = frames;
    keys.origin += ", interpolate " + std::to_string(frames);
  } else {
    sample.latents = std::move(keys.latents);
    for (std::size_t i = 0; !labels.empty() && i < keys.count; ++i) {
      sample.labels.push_back(labels[i % labels.size()]);
    }
    sample.target_labels = sample.labels;
    sample.weights.assign(sample.labels.size(), 0.0f);
  }
  sample.count = sample.latents.size() / latent_size;
  sample.texts = {{"jaxgan.latents", keys.origin}};
  if (!labels.empty()) sample.texts.emplace_back("jaxgan.labels", joined(labels, names));
  return sample;
}

void draw(Generator& generator, const Sample& sample, std::uint8_t* levels) {
  const std::size_t size = generator.latent_size(), pixels = generator.image_shape().size();
  if (sample.latents.size() != sample.count * size ||
      sample.labels.empty() != (generator.classes() == 0)) {
    throw UsageError("expected a sample of " + std::to_string(size) + " numbers " +
                     (generator.classes() == 0 ? "and no label" : "and a label") +
                     " an image, got one that was chosen for another model");
  }
  const auto channels = static_cast<std::size_t>(generator.image_shape().channels);
  constexpr std::size_t kAtATime = kMaxBatch;  // so that the values of many images need not be held
  std::vector<float> values(std::min(sample.count, kAtATime) * pixels);
  const auto plain = [&](std::size_t i) {
    return sample.labels.empty() || sample.labels[i] == sample.target_labels[i];
  };
  for (std::size_t start = 0; start < sample.count;) {
    const bool between = !plain(start);
    std::size_t end = start;
    while (end < sample.count && end - start < kAtATime && plain(end) != between) ++end;
    const float* const latents = sample.latents.data() + start * size;
    const std::int32_t* const labels =
        sample.labels.empty() ? nullptr : sample.labels.data() + start;
    if (between) {
      generator.draw_between(latents, labels, sample.target_labels.data() + start,
                             sample.weights.data() + start, end - start, values.data());
    } else {
      generator.draw(latents, labels, end - start, values.data());
    }
    to_levels(values.data(), (end - start) * pixels / channels, channels, levels + start * pixels);
    start = end;
  }
}

std::vector<std::uint8_t> draw(Generator& generator, const Sample& sample) {
  std::vector<std::uint8_t> levels(sample.count * generator.image_shape().size());
  draw(generator, sample, levels.data());
  return levels;
}

}  // namespace jaxgan
