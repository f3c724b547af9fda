# Finds classic TensorFlow Lite, TensorFlowLite::TensorFlowLite: by a CMake package (Conan's, or
# what its own install writes), by pkg-config, or as headers and a library; or takes the target of
# its source tree. TFLITE_ROOT is where to look first.
unset(TensorFlowLite_TARGET)
if(TARGET tensorflow-lite)
  set(TensorFlowLite_TARGET tensorflow-lite)
else()
  find_package(tensorflow-lite CONFIG QUIET NAMES tensorflow-lite tensorflowlite
    HINTS "${TFLITE_ROOT}")
endif()
foreach(target tensorflow-lite::tensorflow-lite tensorflow::tensorflowlite)
  if(TARGET ${target})
    set(TensorFlowLite_TARGET ${target})
    # Debian's package needs targets that Debian does not have.
    get_target_property(needed ${target} INTERFACE_LINK_LIBRARIES)
    foreach(name IN LISTS needed)
      if(name MATCHES "^[a-zA-Z0-9_-]+::" AND NOT TARGET ${name})
        unset(TensorFlowLite_TARGET)
      endif()
    endforeach()
  endif()
endforeach()

if(NOT TensorFlowLite_TARGET)
  find_package(PkgConfig QUIET)
  if(PKG_CONFIG_FOUND)
    pkg_search_module(TensorFlowLite_PC QUIET IMPORTED_TARGET GLOBAL
      tensorflow-lite tensorflow2-lite tensorflowlite)
  endif()
  if(TARGET PkgConfig::TensorFlowLite_PC)
    set(TensorFlowLite_TARGET PkgConfig::TensorFlowLite_PC)
  endif()
endif()

if(NOT TensorFlowLite_TARGET)
  find_path(TensorFlowLite_INCLUDE_DIR tensorflow/lite/interpreter.h
    HINTS "${TFLITE_ROOT}" PATH_SUFFIXES include)
  find_library(TensorFlowLite_LIBRARY NAMES tensorflow-lite tensorflowlite
    HINTS "${TFLITE_ROOT}" PATH_SUFFIXES lib)
  mark_as_advanced(TensorFlowLite_INCLUDE_DIR TensorFlowLite_LIBRARY)
  if(TensorFlowLite_INCLUDE_DIR AND TensorFlowLite_LIBRARY)
    set(TensorFlowLite_TARGET ${TensorFlowLite_LIBRARY})
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TensorFlowLite REQUIRED_VARS TensorFlowLite_TARGET)
if(TensorFlowLite_FOUND AND NOT TARGET TensorFlowLite::TensorFlowLite)
  add_library(TensorFlowLite::TensorFlowLite INTERFACE IMPORTED GLOBAL)
  target_link_libraries(TensorFlowLite::TensorFlowLite INTERFACE ${TensorFlowLite_TARGET})
  if(TARGET ${TensorFlowLite_TARGET})
    set(TensorFlowLite_INCLUDE_DIR
      $<TARGET_PROPERTY:${TensorFlowLite_TARGET},INTERFACE_INCLUDE_DIRECTORIES>)
  endif()
  target_include_directories(TensorFlowLite::TensorFlowLite SYSTEM INTERFACE
    ${TensorFlowLite_INCLUDE_DIR})
endif()
