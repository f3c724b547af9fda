// What files say of themselves, as lines of text: --info and --describe.
#pragma once

#include <string>

#include "jaxgan/generator.h"

namespace jaxgan {

// The size, signatures and metadata of a model file.
std::string describe_model(const Generator& generator, const std::string& path);

// How the picture of a PNG file was drawn. Throws UsageError where it is no PNG, or does not say.
std::string describe_picture(const std::string& path);

}  // namespace jaxgan
