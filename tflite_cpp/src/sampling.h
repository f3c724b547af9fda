// What is drawn: options such as --seeds 0-35 --interpolate 8 -> latent vectors and labels.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "files.h"
#include "images.h"
#include "jaxgan/generator.h"
#include "names.h"

namespace jaxgan {

// As text: each is read in one place, whoever gives it.
struct SamplingOptions {
  std::optional<std::string> seed;   // 0 if not given
  std::optional<std::string> count;  // 64 if not given
  std::optional<std::string> seeds;
  std::optional<std::string> label;
  std::optional<std::string> latents;  // file
  std::optional<std::string> truncation;
  std::optional<std::string> interpolate;
};

// Images to draw. The keys are the images that a seed, a list of seeds or a file of latents names;
// they are the images themselves, or what is interpolated between.
struct Sample {
  std::size_t count = 0;
  std::vector<float> latents;               // [count, Z]
  std::vector<std::int32_t> labels;         // [count]; none for a model without classes
  std::vector<std::int32_t> target_labels;  // [count]: as labels, unless an image lies between two
  std::vector<float> weights;               // [count]: how far it has gone there, 0 to 1
  std::size_t columns = 10;                 // of their grid, unless --columns says another
  Texts texts;                              // for their PNG: how they were chosen
};

// For a model of a latent size and a number of classes, 0 for none, with or without names. Throws
// UsageError where options are wrong, contradict each other, or do not fit the model.
Sample choose(const SamplingOptions& options, std::size_t latent_size, int classes,
              const Names& names);

// Draws them, as levels [count, H, W, C]. Throws UsageError where they were chosen for another kind
// of model, and as Generator::draw does.
void draw(Generator& generator, const Sample& sample, std::uint8_t* levels);
std::vector<std::uint8_t> draw(Generator& generator, const Sample& sample);

// The labels that images take in turn: those of a text such as "3", "3,1,4" or "cat,dog", every
// class without a text, none for a model without classes. A name may have commas itself: the longest
// that fits is taken. Throws UsageError where the text names no class.
std::vector<std::int32_t> parse_labels(const std::optional<std::string>& text, int classes,
                                       const Names& names = {});

// The seeds of a text such as "7" or "1,5,9-12", in order. Throws UsageError.
std::vector<std::uint32_t> parse_seeds(const std::string& text);

}  // namespace jaxgan
