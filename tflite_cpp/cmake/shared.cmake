# libjaxgan: the C interface as a shared library, for other languages. It needs nothing but the C++
# runtime; LiteRT is found beside it, or where jaxgan_options says.
add_library(jaxgan SHARED src/c.cc)
add_library(jaxgan::c ALIAS jaxgan)
target_include_directories(jaxgan INTERFACE
  $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(jaxgan PRIVATE jaxgan-generator)
set_target_properties(jaxgan PROPERTIES EXPORT_NAME c
  CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
  INSTALL_RPATH $<IF:$<BOOL:${APPLE}>,@loader_path,$ORIGIN> BUILD_WITH_INSTALL_RPATH ON)
if(WIN32)
  set_target_properties(jaxgan PROPERTIES PREFIX "")
elseif(NOT APPLE)  # templates of the standard library are visible whatever is said of ours
  set(map "${CMAKE_CURRENT_LIST_DIR}/jaxgan.map")
  target_link_options(jaxgan PRIVATE "LINKER:--version-script=${map}")
  set_target_properties(jaxgan PROPERTIES LINK_DEPENDS "${map}")
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT MSVC)
  target_link_options(jaxgan PRIVATE $<IF:$<BOOL:${APPLE}>,LINKER:-x,-s>)
endif()
if(JAXGAN_PYTHON)
  install(TARGETS jaxgan
    LIBRARY DESTINATION jaxgan/drawing COMPONENT python
    RUNTIME DESTINATION jaxgan/drawing COMPONENT python)
endif()
